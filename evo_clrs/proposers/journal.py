"""Answers of a remote model in the run folder, kept as they arrive: none is paid for twice.

`replies.jsonl` has the layout of an OpenAI Batch answers file. With `--batch` nothing is sent: what
is to be asked is written to `batch-1.jsonl` (and so on), and answers are read from
`batch-1.answers.jsonl` beside it.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.proposers.calls import Call

_NAME = "replies.jsonl"


class Journal:
    """Answers by the key of their call; those that arrive are appended, from any thread."""

    def __init__(self, folder: Path | None):
        """Reads what a run folder holds; None keeps answers in memory only.

        Raises:
          UserError: a line of an answers file cannot be read.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._answers: dict[str, Mapping[str, Any]] = {}
        if folder is None or not folder.is_dir():
            return
        own = folder / _NAME
        for path in (own, *sorted(folder.glob("batch-*.answers.jsonl"))):
            for entry in _entries(path, mend=path == own):
                self._answers.setdefault(entry["custom_id"], entry)

    def find(self, call: Call) -> Mapping[str, Any] | None:
        """Returns the answer to a call, None if there is none yet."""
        with self._lock:
            return self._answers.get(call.key)

    def entries(self) -> Sequence[Mapping[str, Any]]:
        """Returns all answers."""
        with self._lock:
            return list(self._answers.values())

    def keep(self, call: Call, entry: Mapping[str, Any]) -> None:
        """Keeps an answer."""
        entry = {"custom_id": call.key, **entry}
        with self._lock:
            self._answers[call.key] = entry
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                with (self._folder / _NAME).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")

    def write_batch(self, calls: Sequence[Call]) -> tuple[Path, Path]:
        """Writes calls as an OpenAI Batch file; returns it, and where its answers are looked for.

        Calls that wait already are not written anew: the file that has them is returned.

        Raises:
          UserError: the run has no folder.
        """
        if self._folder is None:
            raise UserError("--batch needs a run folder: give --run")
        text = "".join(call.line() + "\n" for call in calls)
        number = 1
        while True:
            path = self._folder / f"batch-{number}.jsonl"
            answers = path.with_name(f"batch-{number}.answers.jsonl")
            if not path.exists() or (not answers.exists() and path.read_text() == text):
                break
            number += 1
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.replace(path)
        return path, answers


def _entries(path: Path, mend: bool) -> Iterator[Mapping[str, Any]]:
    """Yields the lines of an answers file; `mend` takes out a last line cut off by a kill."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    if mend and whole != text:
        path.write_text(whole, encoding="utf-8")
        text = whole
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            entry["custom_id"] + ""
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}, line {number}: not an answer of an OpenAI Batch: take the line out"
            ) from None
        yield entry
