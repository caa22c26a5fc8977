"""Writes a tree as source text: docstring, imports, code with shapes in the margin."""

import ast
import copy
import io
import re
import textwrap
import tokenize
from collections.abc import Sequence

from evo_clrs import slots
from evo_clrs.proposers.grammar.clean import LINE, sum_terms
from evo_clrs.proposers.grammar.dims import Dim
from evo_clrs.proposers.grammar.draft import Draft
from evo_clrs.proposers.grammar.values import Array


def write(draft: Draft, title: str, changes: Sequence[str]) -> str:
    """Returns the source text of a program.

    Args:
      draft: the cleaned program.
      title: first line of its docstring.
      changes: what was changed, one line for each edit.
    """
    definitions = [
        node for node in draft.tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    imports = [node for node in draft.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    parts = [_docstring(draft.slot, title, changes)]
    parts.append("\n".join(map(ast.unparse, imports)) + "\n")
    for node in definitions:
        spaced = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        parts.append(("\n" if spaced else "") + "\n".join(_definition(draft, node, 0)) + "\n")
    return _formatted("\n".join(parts))


def _docstring(slot: slots.Slot, title: str, changes: Sequence[str]) -> str:
    lines = [title, ""]
    for change in changes:
        lines += textwrap.wrap(change, LINE - 4, initial_indent="- ", subsequent_indent="  ")
    shapes = ", ".join(f"{t.name} [{', '.join(t.shape)}]" for t in slot.inputs)
    outputs = ", ".join(f"{t.name} [{', '.join(t.shape)}]" for t in slot.outputs)
    lines += ["", *textwrap.wrap(f"Shapes: {shapes} -> {outputs}.", LINE)]
    return '"""' + "\n".join(lines) + '\n"""\n'


def _definition(draft: Draft, node: ast.stmt, indent: int) -> list[str]:
    margin = " " * indent
    if isinstance(node, ast.ClassDef):
        lines = [margin + line for line in _head(node)]
        for i, entry in enumerate(node.body):
            gap = [""] if i and isinstance(entry, ast.FunctionDef) else []
            lines += gap + _definition(draft, entry, indent + 4)
        return lines
    if isinstance(node, ast.FunctionDef):
        lines = [margin + line for line in _head(node)]
        for entry in node.body:
            lines += _statement(draft, entry, indent + 4)
        return lines
    return _statement(draft, node, indent)


def _head(node: ast.ClassDef | ast.FunctionDef) -> list[str]:
    """Returns the lines of a definition without its body."""
    shallow = copy.copy(node)
    shallow.body = [ast.Pass()]
    lines = ast.unparse(shallow).splitlines()[:-1]
    return [re.sub(r"(: \w+)=(?! )", r"\1 = ", line) for line in lines]


def _statement(draft: Draft, node: ast.stmt, indent: int) -> list[str]:
    margin = " " * indent
    lines = [margin + line for line in ast.unparse(node).splitlines()]
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(lines) == 1:
        return [f"{margin}return {ast.unparse(node.value)[1:-1]}"]
    if isinstance(node, (ast.Assign, ast.Return)) and node.value is not None:
        terms = sum_terms(node.value)
        if len(lines) == 1 and len(lines[0]) > LINE and len(terms) > 1:
            end = len(ast.unparse(node)) - len(ast.unparse(node.value))
            lines = [margin + ast.unparse(node)[:end] + "("]
            for i, term in enumerate(terms):
                text = ast.unparse(term)
                loose = i > 0 and isinstance(term, ast.BinOp) and isinstance(term.op, ast.Add)
                text = f"({text})" if loose else text
                lines.append(f"{margin}    {'+ ' if i else ''}{text}")
            lines.append(margin + ")")
        value = draft.value(node.value)
        if isinstance(value, Array):
            comment = f"  # [{', '.join(map(dimension, value.shape))}]"
            if len(lines[-1] + comment) <= LINE:
                lines[-1] += comment
    return lines


def dimension(dim: Dim) -> str:
    """Returns a dimension as margins write it: `8`, `H`, `2H`, `H/4`."""
    if dim.number is None and len(dim.terms) == 1:
        ((symbols, factor),) = dim.terms
        text = "".join(symbols)
        if factor.numerator != 1:
            text = f"{factor.numerator}{text}"
        return text if factor.denominator == 1 else f"{text}/{factor.denominator}"
    return " + ".join(dimension(Dim((term,))) for term in dim.terms) if not dim.number else str(dim)


def _formatted(source: str) -> str:
    """Returns source with strings in double quotes and large numbers short: `1e6`."""
    lines = source.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        text = token.string
        if token.type == tokenize.STRING and text[0] == "'" and '"' not in text:
            text = f'"{text[1:-1]}"'
        elif token.type == tokenize.NUMBER and text.endswith("0000.0"):
            text = re.sub(r"e\+0?", "e", f"{float(text):g}")
        if text != token.string:
            row, start = token.start
            lines[row - 1] = f"{lines[row - 1][:start]}{text}{lines[row - 1][token.end[1] :]}"
    return "".join(lines)
