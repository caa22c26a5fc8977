"""Losses and scores of trainings as TensorBoard event files, one folder for each training."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter


class Events:
    """Writes event files; close it or use `with`."""

    def __init__(self, folder: Path):
        """Writes nothing yet; each training gets a folder of its name in `folder`."""
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, title: str, step: int) -> None:
        """Begins with a training, which has done so many steps; what was told of later ones goes.

        A training that was killed goes on from its last checkpoint, before the last step told of.
        """
        self.close()
        folder = self._folder / title
        purge = step + 1 if folder.exists() else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            suffix = f".from{step}"  # two files of one second would have one name
            self._writer = SummaryWriter(str(folder), purge_step=purge, filename_suffix=suffix)

    def tell(self, step: int, losses: Sequence[float], scores: Mapping[str, float]) -> None:
        """Adds the losses of the last steps, and the scores of a validation after them."""
        if self._writer is None:
            return
        for number, loss in enumerate(losses, start=step - len(losses) + 1):
            self._writer.add_scalar("loss", loss, number)
        for name, value in scores.items():
            self._writer.add_scalar(f"validation/{name}", value, step)

    def close(self) -> None:
        """Writes what is left of the training at hand."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
