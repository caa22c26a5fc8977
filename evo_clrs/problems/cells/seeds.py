"""The designs that a search starts from, by name or from files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evo_clrs import spaces
from evo_clrs.errors import UserError


def find_designs(
    space: spaces.Space, names: Sequence[str], known: Mapping[str, str]
) -> Mapping[str, str]:
    """Returns the programs that a search starts from, from name to source text, in order.

    Args:
      space: the space they belong to.
      names: well-known designs, or files that hold a program or an arch string; none for all that
        are well known, `none` alone for no seeds.
      known: the well-known designs, from name to arch string.

    Raises:
      UserError: a name is neither, or a file holds an arch string of another space.
    """
    if tuple(names) == ("none",):
        return {}
    found = {}
    for name in names or tuple(known):
        path = Path(name)
        if name in known:
            found[name] = space.write(space.from_arch(known[name]))
        elif path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found[path.stem] = _program(space, path, text)
        else:
            raise UserError(
                f"seed {name!r} is neither a file nor a known design of {space.name}; "
                f"there are: {', '.join(known)}"
            )
    return found


def _program(space: spaces.Space, path: Path, text: str) -> str:
    """Returns the text, or the program of the arch string that is all it holds."""
    word = text.strip()
    if not word or len(word.split()) > 1:
        return text
    try:
        return space.write(space.from_arch(word))
    except ValueError as error:
        raise UserError(f"seed {path}: {error}") from None
