"""A live display on a terminal, plain lines elsewhere; whatever its stream does, a run goes on."""

import contextlib
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

import rich.console
import rich.live
import rich.table

from evo_clrs.report.text import clean

# Without a terminal: a line at least this often while something is going on, and one for each
# part that is finished, but no more than one a second.
QUIET_SECONDS = 10.0
HASTY_SECONDS = 1.0
# A terminal is drawn anew when something changes, at most so often, and without a thread, which
# would not survive a fork.
DRAWING_SECONDS = 0.1


class Display:
    """What progress displays share; use it with `with`.

    It never breaks a run: a stream that is closed or full is no longer written to.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        """Starts nothing yet; `stream` is where to show it, standard error if None."""
        self._start = self._last_line = time.monotonic()
        self._stream = sys.stderr if stream is None else stream
        self._live: rich.live.Live | None = None
        self._broken = False

    def __rich__(self) -> rich.table.Table:
        """The live display; rich calls this to draw it."""
        raise NotImplementedError

    def _line(self) -> str:
        """The plain line."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        with self._guard():
            if self._stream.isatty():
                console = _Console(file=self._stream)
                self._live = rich.live.Live(
                    self, console=console, auto_refresh=False, transient=True
                )
                self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._guard():
            if self._live is not None:
                self._live.stop()
                self._live = None
            self._print(self._line())

    def _show(self, finished: bool) -> None:
        now = time.monotonic()
        plain_seconds = HASTY_SECONDS if finished else QUIET_SECONDS
        if now - self._last_line < (plain_seconds if self._live is None else DRAWING_SECONDS):
            return
        with self._guard():
            if self._live is not None:
                self._live.refresh()
            else:
                self._print(self._line())
            self._last_line = now

    def _print(self, text: str) -> None:
        if not self._broken:
            self._stream.write(clean(text) + "\n")
            self._stream.flush()

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Gives up showing, never the run, when the stream fails."""
        try:
            yield
        except (OSError, ValueError):
            self._broken = True
            live, self._live = self._live, None
            if live is not None:
                with contextlib.suppress(OSError, ValueError):
                    live.stop()  # gives standard output back


class _Console(rich.console.Console):
    """A console that leaves a closed pipe to its user; rich would exit the process."""

    def on_broken_pipe(self) -> None:
        """Goes on without showing anything."""
        self.quiet = True
