"""Data of a task by split, with test data closed unless its reading is recorded."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from evo_clrs.errors import UserError
from evo_clrs.problems.clrs.cache import cached
from evo_clrs.problems.clrs.data import Pool, Recipe, make_recipe
from evo_clrs.problems.clrs.tasks import (
    SPLITS,
    Protocol,
    Split,
    Task,
    split_count,
    split_lengths,
    split_seed,
)


@dataclasses.dataclass(frozen=True)
class Splits:
    """The data of one task under one protocol; the only way from a problem to its samples.

    Attributes:
      task: the task.
      protocol: says what each split holds.
      cache: folder where drawn samples are kept; None for no cache.
      record_test: called with the recipe before each reading of test data. Only the final
        comparison has one: without it, as in a search, asking for test data is an error. So test
        data cannot be read without a record of it.
    """

    task: Task
    protocol: Protocol
    cache: Path | None = None
    record_test: Callable[[Recipe], None] | None = None

    def recipes(self, split: Split, count: int | None = None, part: int = 0) -> tuple[Recipe, ...]:
        """Returns what a split is drawn from, one recipe for each of its lengths.

        Args:
          split: one of `tasks.SPLITS`.
          count: samples at each length; by default what the protocol says.
          part: which independent part of the split, from 0; see `tasks.split_seed`.

        Raises:
          UserError: there is no such split, or the count is not positive.
        """
        if split not in SPLITS:
            raise UserError(f"unknown split {split!r}; expected one of: {', '.join(SPLITS)}")
        number = split_count(self.task, self.protocol, split) if count is None else count
        return tuple(
            make_recipe(
                self.task,
                self.protocol,
                split,
                length,
                number,
                split_seed(self.protocol, split, length, part),
            )
            for length in split_lengths(self.task, self.protocol, split)
        )

    def pools(self, split: Split, count: int | None = None, part: int = 0) -> tuple[Pool, ...]:
        """Returns a split's samples, one pool for each of its lengths, as NumPy arrays.

        Args: see `recipes`.

        Raises:
          UserError: there is no such split, the count is not positive, or test data is asked for
            without `record_test`.
        """
        recipes = self.recipes(split, count, part)
        if split == "test":
            if self.record_test is None:
                raise UserError("test data is for the final comparison only: use selection data")
            for recipe in recipes:
                self.record_test(recipe)
        return tuple(cached(recipe, self.cache) for recipe in recipes)
