"""Shows a run: tables in the terminal, and one page that needs nothing else.

  python -m launch.report runs/NAME

The run may be going on; it is read, not changed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from evo_clrs.report import report
from launch import cli

HTML = flags.DEFINE_string(
    "html", "", "File to write the page to; report.html in the run folder if empty."
)


def main(arguments: Sequence[str]) -> None:
    """Reports the run folder named on the command line."""
    if len(arguments) != 1:
        raise flags.Error(
            f"expected one run folder, got {len(arguments)}: python -m launch.report runs/NAME"
        )
    page = report(Path(arguments[0]), Path(HTML.value) if HTML.value else None)
    print(f"page: {page}")


if __name__ == "__main__":
    cli.run_main(main, ("html",))
