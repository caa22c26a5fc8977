"""A run as tables, plots and one page; and what a running one shows."""

from evo_clrs.report.progress import Progress
from evo_clrs.report.reporting import report

__all__ = ["Progress", "report"]
