"""Reporting a run: tables in the terminal, and its page."""

from pathlib import Path

import rich.console

from evo_clrs.report.page import page
from evo_clrs.report.tables import print_tables
from evo_clrs.store import Store, files


def report(
    folder: Path, out: Path | None = None, console: rich.console.Console | None = None
) -> Path:
    """Prints a run's tables and writes its page; the run may be going on.

    Args:
      folder: the run folder.
      out: where to write the page; `report.html` in the run folder if None.
      console: where to print; standard output if None.

    Returns:
      The path of the page.

    Raises:
      UserError: there is no run, it cannot be read, or the page cannot be written.
    """
    out = Path(folder) / "report.html" if out is None else Path(out)
    with Store.read(Path(folder)) as store:
        print_tables(store, console)
        files.write_atomically(out, page(store))
    return out
