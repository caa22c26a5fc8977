"""What remote calls may take: tokens and money, those under way counted at their most."""

import threading
from collections.abc import Sequence

from evo_clrs.proposers.calls import NOTHING, Call, Usage

_MILLION = 1_000_000


class Budget:
    """Counts what was spent and what is under way against two limits; safe between threads."""

    def __init__(
        self,
        max_tokens: int,
        max_cost: float,
        price_prompt: float,
        price_completion: float,
        spent: Usage = NOTHING,
    ):
        """Takes the limits and what was spent before.

        Args:
          max_tokens: tokens read and written in all; 0 for no limit.
          max_cost: money in all; 0 for no limit.
          price_prompt: money for a million tokens read.
          price_completion: money for a million tokens written.
          spent: by earlier processes of this run.
        """
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._prices = price_prompt, price_completion
        self._lock = threading.Lock()
        self.spent = spent
        self.under_way = NOTHING

    def reserve(self, calls: Sequence[Call]) -> bool:
        """Counts calls as under way, all or none; returns whether they fit."""
        wanted = sum((call.at_most for call in calls), NOTHING)
        with self._lock:
            total = self.spent + self.under_way + wanted
            if self._max_tokens and _tokens(total) > self._max_tokens:
                return False
            if self._max_cost and self.cost(total) > self._max_cost:
                return False
            self.under_way += wanted
            return True

    def settle(self, call: Call, usage: Usage) -> None:
        """Takes a call from those under way, and counts what it took."""
        with self._lock:
            self.under_way -= call.at_most
            self.spent += usage

    def cost(self, usage: Usage) -> float:
        """Returns what so many tokens cost."""
        read, written = self._prices
        return (usage.prompt_tokens * read + usage.completion_tokens * written) / _MILLION

    def refusal(self, calls: Sequence[Call]) -> str:
        """Returns why calls do not fit, and what to do."""
        wanted = sum((call.at_most for call in calls), NOTHING)
        with self._lock:
            total = self.spent + wanted
            if self._max_tokens and _tokens(total) > self._max_tokens:
                return (
                    f"of --max_tokens={self._max_tokens}, {_tokens(self.spent)} are spent, and the "
                    f"next request may take {_tokens(wanted)}: raise it to go on"
                )
            return (
                f"of --max_cost={self._max_cost:g}, {self.cost(self.spent):.4g} are spent, and the "
                f"next request may cost {self.cost(wanted):.4g}: raise it to go on"
            )


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
