"""Source text as data: parsing with bounds, scopes, normal form and identity.

Two programs have one identity when they differ only in comments, docstrings, formatting or the
names of local variables. The converse direction is the one that must never fail: programs that
could behave differently never share an identity, so wherever a name might be seen from outside
(keywords, attributes, helpers handed to other code, reflection) it is left as written.
"""

import ast
import hashlib
import warnings
from collections.abc import Iterator

from evo_clrs import scopes

MAX_BYTES = 20_000
MAX_DEPTH = 100  # levels of the syntax tree; deeper text is no network, and recursion has limits
MAX_INTEGER_BITS = 1024

# Names by which a program could see its own names, docstrings or text. A program that holds one
# keeps everything but comments and formatting.
_REFLECTION = scopes.words(
    "breakpoint builtins compile currentframe delattr dir eval exec format format_map getattr "
    "getsource globals hasattr help importlib inspect linecache locals operator setattr sys "
    "traceback types vars"
)
_MODULES = frozenset({"clrs", "haiku", "jax", "jax.numpy", "numpy", "math", "functools"})
_UNUSUAL_NODES = scopes.words(
    "AsyncFor AsyncFunctionDef AsyncWith Global Match Nonlocal Try TryStar TypeAlias"
)


def parse(source: str) -> ast.Module:
    """Returns the syntax tree of a program.

    Raises:
      ValueError: it is no Python, or exceeds a bound on size, nesting or integers; the message is
        one line and names the line of the text where there is one.
    """
    try:
        size = len(source.encode())
    except UnicodeEncodeError:
        raise ValueError("not text: it holds a lone surrogate") from None
    if size > MAX_BYTES:
        raise ValueError(f"too long: {size} bytes, at most {MAX_BYTES} are allowed")
    if "\0" in source:
        line = source[: source.index("\0")].count("\n") + 1
        raise ValueError(f"line {line}: holds a null byte")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings are not our concern
            tree = ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno or 1}: not Python: {_one_line(error.msg)}") from None
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply to parse") from None
    _check_bounds(tree)
    return tree


def normal_form(source: str) -> str:
    """Returns the program without comments, docstrings and formatting, its locals renamed.

    The result is a program that behaves the same, and the normal form of itself.

    Raises:
      ValueError: see `parse`.
    """
    return ast.unparse(ast.fix_missing_locations(_normalise(parse(source))))


def bare(source: str) -> str:
    """Returns the program without comments, docstrings and formatting, its names as they are.

    Raises:
      ValueError: see `parse`.
    """
    tree = parse(source)
    _drop_idle_statements(tree)
    return ast.unparse(tree) + "\n"


def identity(source: str) -> str:
    """Returns the identity of a program: 16 hexadecimal digits of a hash of its normal form.

    Raises:
      ValueError: see `parse`.
    """
    text = "".join(_serialise(_normalise(parse(source))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_bounds(tree: ast.Module) -> None:
    """Raises ValueError where the tree is too deep or holds an absurdly long integer."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            line = max((getattr(node, "lineno", 1) for node in level), default=1)
            raise ValueError(f"line {line}: nested more than {MAX_DEPTH} levels deep")
        for node in level:
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
                raise ValueError(f"line {getattr(node, 'lineno', 1)}: integer too long")
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _normalise(tree: ast.Module) -> ast.Module:
    """Normalises the tree in place, as far as that is sound, and returns it."""
    if _is_transparent(tree):
        _drop_idle_statements(tree)
        scopes.rename_locals(tree)
    return tree


def _is_transparent(tree: ast.Module) -> bool:
    """Whether the program cannot see its own names and docstrings, as far as text can tell."""
    for node in ast.walk(tree):
        if type(node).__name__ in _UNUSUAL_NODES or getattr(node, "type_params", None):
            return False
        if isinstance(node, ast.ImportFrom):
            return False
        if isinstance(node, ast.alias) and node.name not in _MODULES:
            return False
        for name in _identifiers(node):
            if name in _REFLECTION or name.startswith("__") and name not in scopes.METHODS:
                return False
    return True


def _identifiers(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "arg", "name", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield value


def _drop_idle_statements(tree: ast.Module) -> None:
    """Removes docstrings, other bare constants and `pass` wherever something else is left."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if not isinstance(statements, list):
                continue
            kept = [statement for statement in statements if not _is_idle(statement)]
            if not kept and field == "body" and not isinstance(node, ast.Module):
                kept = [ast.Pass()]
            setattr(node, field, kept)


def _is_idle(statement: ast.stmt) -> bool:
    bare = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return bare or isinstance(statement, ast.Pass)


def _serialise(node: object) -> Iterator[str]:
    """Yields an unambiguous text of the tree that is the same in every version of Python."""
    if isinstance(node, list):
        yield "["
        for item in node:
            yield from _serialise(item)
            yield ","
        yield "]"
    elif isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for field, value in sorted(ast.iter_fields(node)):
            # Versions differ in which empty fields they have; context follows from position.
            empty = value == [] or (value is None and not isinstance(node, ast.Constant))
            if empty or field in ("ctx", "kind", "type_comment"):
                continue
            yield f"{field}="
            yield from _serialise(value)
            yield ";"
        yield ")"
    else:
        yield f"{type(node).__name__}:{node!r}"
