"""Errors that a person can mend, told in one line."""


class UserError(Exception):
    """Input, a file or a setting is wrong; the message is one line that says what to do.

    Launch scripts print the message on stderr and exit with 1; a traceback appears only with
    `--debug`.
    """


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
