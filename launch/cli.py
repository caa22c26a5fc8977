"""What every launch script shares: flags, help, errors and exit codes.

Exit codes: 0 done; 1 failed, with one clear line on stderr (a traceback only with `--debug`);
2 bad flags; 130 interrupted, state kept.
"""

import signal
import sys
import traceback
import types
from collections.abc import Callable, Sequence

from absl import flags

from evo_clrs.errors import UserError
from evo_clrs.report.text import clean, line

DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error.")

_FAILED = 1
_BAD_FLAGS = 2
_INTERRUPTED = 130
_LONGEST = 1500  # letters of a message


def run_main(main: Callable[[Sequence[str]], int | None], first: Sequence[str] = ()) -> None:
    """Parses flags, runs `main(positional arguments)` and exits with the right code.

    Args:
      main: the script; its return value is the exit code, None meaning 0. Its module's docstring
        is the head of `--help`.
      first: names of the flags that `--help` shows first.
    """
    if any(argument in ("--help", "-h", "-help", "--helpfull") for argument in sys.argv[1:]):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader such as `head` may stop early
        print(_help_text(sys.modules[main.__module__], first))
        sys.exit(0)
    try:
        positional = flags.FLAGS(sys.argv)[1:]
    except flags.Error as error:
        _complain(_bad_flags_text(error))
        sys.exit(_BAD_FLAGS)
    try:  # from the first moment that a signal may interrupt, to the last
        signal.signal(signal.SIGTERM, _interrupt)
        # A shell starts background jobs with SIGINT ignored; who sends it to one means it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(main(positional) or 0)
    except flags.Error as error:
        _complain(_bad_flags_text(error))
        sys.exit(_BAD_FLAGS)
    except KeyboardInterrupt as interruption:
        print(line(str(interruption), _LONGEST) or "interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    except Exception as error:
        if DEBUG.value:
            print(clean(traceback.format_exc()), end="", file=sys.stderr)
        elif isinstance(error, UserError):
            _complain(str(error))
        else:
            _complain(f"{type(error).__name__}: {error} (--debug shows where)")
        sys.exit(_FAILED)


def own_flags() -> dict[str, flags.Flag]:
    """Returns the flags that launch scripts define, those of libraries left out, by name."""
    return {
        flag.name: flag
        for module, found in flags.FLAGS.flags_by_module_dict().items()
        if module.startswith("launch.") or module in ("__main__", sys.argv[0])
        for flag in found
    }


def expect_no_arguments(arguments: Sequence[str]) -> None:
    """Raises flags.Error where something stands on the command line that is no flag."""
    if arguments:
        raise flags.Error(f"unexpected argument {arguments[0]!r}: flags begin with --")


def _interrupt(signum: int, frame: types.FrameType | None) -> None:
    """Turns SIGTERM into what Ctrl-C does, once: the way out is not interrupted again."""
    del frame
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


def _complain(text: str) -> None:
    """Prints one line; what a program or a model wrote may stand in it."""
    print("error: " + line(text, _LONGEST), file=sys.stderr)


def _bad_flags_text(error: Exception) -> str:
    text = str(error).replace("\n", " ")
    return f"{text} (--help lists the flags)"


def _help_text(module: types.ModuleType, first: Sequence[str]) -> str:
    """Returns the script's docstring, its main flags, then all others of our scripts."""
    ours = own_flags()

    def entry(flag: flags.Flag) -> str:
        about, *others = (flag.help or "").splitlines()
        default = (flag.default_as_str or "").replace("'", "") or "empty"
        defaults = "; ".join([f"default: {default}", *others])
        told = "" if flag.default is None else f" ({defaults})"
        return f"  --{flag.name}\n      {about}{told}"

    head = [entry(ours[name]) for name in first]
    rest = [entry(ours[name]) for name in sorted(ours) if name not in first]
    rest.append("  --flagfile\n      Reads more flags from a file, one a line.")
    parts = [(module.__doc__ or "").strip(), ""]
    if head:
        parts += ["Main flags:", *head, "", "Further flags:"]
    return "\n".join([*parts, *rest])
