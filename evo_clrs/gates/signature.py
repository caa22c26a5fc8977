"""Whether a program defines what its slot asks for, with a signature the slot can be called by."""

import ast

from evo_clrs.slots import Slot


def check(tree: ast.Module, slot: Slot) -> None:
    """Checks the slot's definition in a program.

    Raises:
      ValueError: it is missing, defined twice, or has the wrong kind, base or parameters; the
        message is one line that names the line of the text.
    """
    found = [node for node in tree.body if _defines(node, slot.definition)]
    what = f"{'class' if slot.kind == 'class' else 'function'} `{slot.definition}`"
    if not found:
        raise ValueError(f"the program does not define the {what}")
    last = found[-1]
    if len(found) > 1:
        raise _problem(last, f"`{slot.definition}` is defined more than once")
    if slot.kind == "class":
        if not isinstance(last, ast.ClassDef):
            raise _problem(last, f"`{slot.definition}` must be a class")
        _check_class(last, slot)
    else:
        if not isinstance(last, ast.FunctionDef):
            raise _problem(last, f"`{slot.definition}` must be a function")
        if last.decorator_list:
            raise _problem(last, f"`{slot.definition}` may not be decorated")
        _check_parameters(last, last.args, slot, [name for name, _ in slot.constants])


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name == name
    return any(
        isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load)
        for part in ast.walk(node)
    )


def _check_class(node: ast.ClassDef, slot: Slot) -> None:
    bases = [ast.unparse(base) for base in node.bases]
    if bases != [slot.base]:
        raise _problem(node, f"class `{node.name}` must have the one base `{slot.base}`")
    methods = {"__init__": _method(node, "__init__"), "__call__": _method(node, "__call__")}
    constants = [name for name, _ in slot.constants]
    init, call = methods["__init__"], methods["__call__"]
    _check_parameters(init, _without_self(init), slot, constants, inputs=0)
    _check_parameters(call, _without_self(call), slot, [name for name, _ in slot.call_constants])


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef:
    found = [item for item in node.body if _defines(item, name)]
    if not found:
        raise _problem(node, f"class `{node.name}` does not define `{name}`")
    method = found[-1]
    if len(found) > 1 or not isinstance(method, ast.FunctionDef):
        raise _problem(method, f"`{name}` must be one plain method")
    if method.decorator_list:
        raise _problem(method, f"`{name}` may not be decorated")
    return method


def _without_self(method: ast.FunctionDef) -> ast.arguments:
    """Returns the parameters after `self`."""
    arguments = method.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if not positional or len(arguments.defaults) == len(positional):
        raise _problem(method, f"`{method.name}` must take `self` first")
    first = len(arguments.posonlyargs) - 1
    return ast.arguments(
        posonlyargs=arguments.posonlyargs[1:],
        args=arguments.args if first >= 0 else arguments.args[1:],
        vararg=arguments.vararg,
        kwonlyargs=arguments.kwonlyargs,
        kw_defaults=arguments.kw_defaults,
        kwarg=arguments.kwarg,
        defaults=arguments.defaults,
    )


def _check_parameters(
    place: ast.FunctionDef,
    arguments: ast.arguments,
    slot: Slot,
    constants: list[str],
    inputs: int | None = None,
) -> None:
    """Checks that `inputs` positional arguments and the constants by keyword can be passed."""
    count = len(slot.inputs) if inputs is None else inputs
    wanted = ", ".join([*(tensor.name for tensor in slot.inputs[:count]), *constants])
    expected = f"expected `{place.name}` to take ({wanted})"
    positional = [*arguments.posonlyargs, *arguments.args]
    if len(positional) < count and arguments.vararg is None:
        raise _problem(
            place, f"{expected}, but it takes only {len(positional)} arguments by position"
        )
    after = arguments.args[max(0, count - len(arguments.posonlyargs)) :]
    by_keyword = {argument.arg for argument in [*after, *arguments.kwonlyargs]}
    taken = {argument.arg for argument in positional} - by_keyword
    for name in constants:
        missing = name not in by_keyword and (arguments.kwarg is None or name in taken)
        if missing:
            raise _problem(place, f"{expected}, but `{name}` cannot be passed by keyword")
    first_default = len(positional) - len(arguments.defaults)
    needed = {argument.arg for argument in positional[count:first_default]}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            needed.add(argument.arg)
    extra = sorted(needed - set(constants))
    if extra:
        raise _problem(place, f"{expected}, but `{extra[0]}` has no default")


def _problem(node: ast.AST, reason: str) -> ValueError:
    return ValueError(f"line {getattr(node, 'lineno', 1)}: {reason}")
