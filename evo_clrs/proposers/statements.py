"""Lines of a program while they are written: which names stand at a line, and whether it may go on.

Programs are bare text (`program.bare`): every statement is one line. Names are looked up as Python
does, but for what a line itself binds (comprehensions, lambdas), which is seen all over that line.
"""

import ast
import functools
import re
from collections.abc import Iterator, Sequence, Set

from evo_clrs import program, scopes

_NAME = r"[A-Za-z_]\w*"
_TARGETS = re.compile(rf" *({_NAME}(?:, {_NAME})*) = ")
_INNER = re.compile(rf"\b(?:for|lambda) ({_NAME}(?:, {_NAME})*)(?: in\b|:)")
_HEAD = re.compile(rf" *(?:def ({_NAME})\((.*)\)|class ({_NAME})\b)")
_ARGUMENT = re.compile(rf"(?:^|, )\*{{0,2}}({_NAME})")
_IMPORT = re.compile(rf"import ({_NAME})(?:[\w.]* as ({_NAME}))?$")
_KEYWORD = re.compile(rf"[(,] ?({_NAME})=(?!=)")
_PARTS = re.compile(
    rf"(?P<string>'[^'\n]*'|\"[^\"\n]*\")|(?P<open>['\"])|(?P<attribute>\.(?:{_NAME})?)"
    rf"|(?P<name>{_NAME})|(?P<number>\d[\w.]*)|(?P<bracket>[()\[\]{{}}])"
)
# What opens an expression: a target, or a word of a statement.
_OPENED = re.compile(r" *(?:[\w.]+(?:, [\w.]+)* = |(?:return|if|elif|while|for|assert) )")
_UNOPENED = re.compile(r" *[\w.]*(?:,(?: [\w.]*)?)*(?: =?)? *")
_UNCHECKED = ("def ", "class ", "import ", "@", "super(")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_CLOSERS = {opened: closed for closed, opened in _PAIRS.items()}
_WORDS = scopes.words("and else for if in is lambda not or")
_BUILTINS = scopes.words(
    "None True False abs all any bool dict enumerate float int len list map max min range reversed "
    "round sorted str sum super tuple zip"
)
_STRANGE = re.compile(r"[^ \w.,:=+\-*/%@<>!()\[\]{}'\"]|[^\x20-\x7e]")
# With one of these, and what closes its brackets, a beginning that can become a statement is one.
_ENDINGS = ("", "x", "1", "=x", ",", ".", "..", ": x", " else x", " x in x")


def keywords(text: str) -> frozenset[str]:
    """Returns the names of keyword arguments in a program, and the commonest."""
    return frozenset(_KEYWORD.findall(text)) | {"axis", "keepdims"}


def visible(lines: Sequence[str], indent: int) -> frozenset[str]:
    """Returns the names that stand after some lines, for a line that is so far indented."""
    return frozenset[str]().union(*(names for _, names in _scopes(tuple(lines), indent)))


def may_go_on(line: str, names: Set[str], keyword_names: Set[str]) -> bool:
    """Whether a line that is not yet at its end may become a statement that uses names that stand.

    Args:
      line: its beginning.
      names: those that stand.
      keyword_names: those that may be keyword arguments.
    """
    body = line.lstrip(" ")
    if _STRANGE.search(line):
        return False
    if body.startswith(_UNCHECKED):
        return True
    opened = _OPENED.match(line)
    if opened is None:
        return _UNOPENED.fullmatch(line) is not None
    known = names | set(_inner(line)) | _WORDS | _BUILTINS
    stack: list[str] = []
    for found in _PARTS.finditer(line, opened.end()):
        match found.lastgroup:
            case "open":
                return True  # within a string
            case "bracket" if found[0] in _PAIRS:
                if not stack or stack.pop() != _PAIRS[found[0]]:
                    return False
            case "bracket":
                stack.append(found[0])
            case "name" if not _may_stand(found, line, known, keyword_names if stack else set()):
                return False
    closed = "".join(_CLOSERS[bracket] for bracket in reversed(stack))
    starred = closed.replace(")", ",)")  # `(*x` is a tuple, and needs its comma
    return any(_parses(body + ending + end) for end in (closed, starred) for ending in _ENDINGS)


def is_whole(line: str, names: Set[str]) -> bool:
    """Whether a line is a statement that uses names that stand, or the head of some."""
    loads = _loads(line)
    return loads is not None and loads <= names | _BUILTINS


@functools.lru_cache(maxsize=4096)
def first_unread(lines: tuple[str, ...]) -> int | None:
    """Returns the first line at which lines are no Python, e.g. by how far it is in, None if none.

    What a last line opens may still follow.
    """
    opened = " pass" if lines and lines[-1].endswith(":") else ""
    try:
        ast.parse("\n".join(lines) + opened)
    except SyntaxError as error:
        return min(error.lineno or 1, len(lines)) - 1
    except ValueError:
        return 0
    return None


def first_broken(lines: Sequence[str], known: Set[str] = frozenset()) -> int | None:
    """Returns the first line that uses a name that does not stand there, None if none does.

    Args:
      lines: of a program.
      known: names that are taken to stand.
    """
    for at, line in enumerate(lines):
        loads = _loads(line) or frozenset()
        if loads - known - _BUILTINS - visible(lines[:at], _indent(line)):
            return at
    return None


@functools.lru_cache(maxsize=256)
def unknown(source: str) -> frozenset[str]:
    """Returns the names of a program that this module does not find where they are used."""
    lines = program.bare(source).splitlines()
    found: set[str] = set()
    for at, line in enumerate(lines):
        found |= (_loads(line) or set()) - _BUILTINS - visible(lines[:at], _indent(line))
    return frozenset(found)


def _may_stand(found: re.Match[str], line: str, names: Set[str], keyword_names: Set[str]) -> bool:
    """Whether a name in a line may stand there; at the line's end it may be a beginning."""
    name, after = found[0], line[found.end() : found.end() + 2]
    if not after:
        return any(known.startswith(name) for known in (*names, *keyword_names))
    if after == "=":
        return name in names or name in keyword_names
    if after[0] == "=" and after != "==":
        return name in keyword_names
    return name in names


@functools.lru_cache(maxsize=4096)
def _scopes(lines: tuple[str, ...], indent: int) -> tuple[tuple[int, frozenset[str]], ...]:
    """Returns the scopes around a line after these: how far its head is in, and its names."""
    scopes: list[tuple[int, set[str]]] = [(-1, set())]
    for line in lines:
        if not line.strip():
            continue
        _leave(scopes, _indent(line))
        head = _HEAD.match(line)
        if head is None:
            scopes[-1][1].update(_bound(line))
            continue
        scopes[-1][1].add(head[1] or head[3])
        scopes.append((_indent(line), set(_ARGUMENT.findall(head[2] or ""))))
    _leave(scopes, indent)
    return tuple((at, frozenset(names)) for at, names in scopes)


def _leave(scopes: list[tuple[int, set[str]]], indent: int) -> None:
    while scopes[-1][0] >= indent:
        scopes.pop()


def _bound(line: str) -> Iterator[str]:
    """Yields the names that a line binds."""
    targets = _TARGETS.match(line)
    if targets is not None:
        yield from targets[1].split(", ")
    yield from _inner(line)
    imported = _IMPORT.match(line)
    if imported is not None:
        yield imported[2] or imported[1]


def _inner(line: str) -> Iterator[str]:
    """Yields the names that comprehensions, loops and lambdas of a line bind."""
    for found in _INNER.finditer(line):
        yield from found[1].split(", ")


@functools.lru_cache(maxsize=4096)
def _loads(line: str) -> frozenset[str] | None:
    """Returns the names that a line uses and does not bind within, None if it is no statement."""
    text = line.strip()
    try:
        tree = ast.parse(text + " pass" if text.endswith(":") else text)
    except (SyntaxError, ValueError):
        return None
    used = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset(used - arguments - set(_inner(text)))


def _parses(text: str) -> bool:
    try:
        ast.parse(text + " pass" if text.endswith(":") else text)
    except (SyntaxError, ValueError):
        return False
    return True


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
