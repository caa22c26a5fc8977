"""Errors that a person can mend, told in one line."""


class UserError(Exception):
    """Input, a file or a setting is wrong; the message is one line that says what to do.

    Launch scripts print the message on stderr and exit with 1; a traceback appears only with
    `--debug`.
    """


class Stopped(Exception):
    """The run stops here by itself, with everything kept, and is no failure.

    The message says why, and what to do to go on. Launch scripts print it and exit with 0.
    """


class BudgetSpent(Stopped):
    """What was allowed is spent: the winner is picked among what there is, then the run stops."""


class Rejected(Exception):
    """A program did not pass a stage on its way to a score.

    This never leaves the loop: it becomes an `Evaluation` with status `rejected`.

    Attributes:
      stage: one of `records.REJECTION_STAGES`.
      reason: one line that a person understands.
    """

    def __init__(self, stage: str, reason: str):
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason
