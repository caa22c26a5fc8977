"""Runs `launch.search` with a proposer that has the fault named first, at its third request.

    python -m tests.faults.faulty FAULT FLAGS...

Faults: `down` (UserError), `refused` (OSError), `broken` (any other error), `silent` (no answer,
ever), `endless` (an answer that goes on and on), `none` (no fault).
"""

import itertools
import sys
import time

from evo_clrs import proposers
from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar.proposer import Grammar
from launch import cli, search

FAULT = sys.argv.pop(1)


class Faulty(Grammar):
    """The grammar, as behind a server with a fault."""

    def propose(self, request, slot, prompt, seed):
        if request.index == 2:
            self._fail()
        return super().propose(request, slot, prompt, seed)

    def _fail(self) -> None:
        if FAULT == "down":
            raise UserError("the language model at http://localhost:1 does not answer")
        if FAULT == "refused":
            raise ConnectionRefusedError(111, "Connection refused")
        if FAULT == "broken":
            raise KeyError("choices\x1b[2J")
        if FAULT == "silent":
            time.sleep(3600)
        if FAULT == "endless":
            for number in itertools.count():
                f"token {number}".encode()


if __name__ == "__main__":
    proposers.make = lambda name, options, folder: Faulty()
    search.define_options()
    cli.run_main(search.main)
