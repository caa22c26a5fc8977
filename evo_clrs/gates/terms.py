"""Programs as terms: each distinct expression once, in a form that order of writing cannot change.

A term is a label and the terms it is made of. Equal expressions are one term, so common
subexpressions and dead code need no thought. Chains of an associative, commutative operation are
one term over a multiset (gradients add up contributions in the order of writing). Loop carries that
never change are replaced by what they started as, and the others are put in an order that comes
from what they compute.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from evo_clrs.errors import Rejected
from evo_clrs.gates.dataflow import BARRIER, Operation, Region, Type, Value

Term = int  # position in `Terms`; a term comes after all that it is made of

CHAINS = frozenset(
    f"stablehlo.{name}" for name in ("add", "multiply", "maximum", "minimum", "and", "or", "xor")
)

# Numbers, as MLIR prints them, that change nothing in a chain.
_NEUTRAL = {
    "stablehlo.add": ("0.000000e+00", "0"),
    "stablehlo.multiply": ("1.000000e+00", "1"),
}

# Most steps from a term to one that it is made of, over all passes; see `Terms.below`. Loops with
# thousands of carries, and thousands of parameters that look alike, take passes without end.
MAX_STEPS = 5_000_000

# Chains longer than this stay in pieces as they were written, to bound the work.
MAX_CHAIN = 256

_SPREADS = frozenset({"stablehlo.broadcast_in_dim", "stablehlo.reshape", "stablehlo.transpose"})
_SPLAT = re.compile(r"dense<([^\[\]\"<>]+)> : .*", re.DOTALL)
_MIRRORED = {"GT": "LT", "GE": "LE"}


def digest(*parts: str | bytes) -> bytes:
    """Returns a hash of 16 bytes, the same in every process."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big") + data)
    return state.digest()


class Terms:
    """The terms of one graph: built by `evaluate`, coloured by `colours` and `uses`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool, tuple[Term, ...]], Term] = {}
        self._steps = 0
        self._splats: dict[Term, str] = {}
        # One entry for each term:
        self._labels: list[str] = []
        self._hashes: list[bytes] = []  # of the labels
        self._children: list[tuple[Term, ...]] = []
        self._ordered: list[bool] = []  # whether the order of the children counts
        self._levels: list[int] = []  # no argument of a region this deep or deeper is in it
        self._outlines: list[bytes] = []  # colour where leaves of one `look` are alike

    def leaf(self, label: str, look: str | None = None, level: int = 0) -> Term:
        """Returns the term of something given from outside.

        Args:
          label: what names it.
          look: what it is without its name, the same for things that are to be told apart by
            use; the label if left out.
          level: one more than the depth of the region whose argument it is.
        """
        term = self._intern(label, (), True)
        self._levels[term] = level
        if look is not None:
            self._outlines[term] = digest(look)
        return term

    def add(self, label: str, children: Iterable[Term], ordered: bool = True) -> Term:
        """Returns the term of these children, of a multiset of them if not `ordered`."""
        parts = tuple(children)
        if label.startswith("chain "):
            return self._chain(label, parts)
        return self._intern(label, parts if ordered else tuple(sorted(parts)), ordered)

    def _intern(self, label: str, children: tuple[Term, ...], ordered: bool) -> Term:
        term = self._known.setdefault((label, ordered, children), len(self._labels))
        if term == len(self._labels):
            self._labels.append(label)
            self._hashes.append(digest(label))
            self._children.append(children)
            self._ordered.append(ordered)
            self._levels.append(max([self._levels[child] for child in children], default=0))
            self._outlines.append(self._colour(term, self._outlines))
        return term

    def _chain(self, label: str, parts: tuple[Term, ...]) -> Term:
        """Returns the term of a chain: chains within it opened, zeros and ones left out."""
        neutral = _NEUTRAL.get(label.split()[1], ())
        parts = tuple(part for part in parts if self._splats.get(part) not in neutral) or parts[:1]
        if len(parts) == 1:
            return parts[0]
        whole: list[Term] = []
        for part in parts:
            whole += self._children[part] if self._labels[part] == label else (part,)
        return self._intern(
            label, tuple(sorted(whole if len(whole) <= MAX_CHAIN else parts)), False
        )

    def _colour(self, term: Term, table: Sequence[bytes]) -> bytes:
        colours = [table[child] for child in self._children[term]]
        if not self._ordered[term]:
            colours.sort()
        return hashlib.blake2b(self._hashes[term] + b"".join(colours), digest_size=16).digest()

    # From operations to terms.

    def evaluate(
        self,
        region: Region,
        arguments: Sequence[Term],
        cut: tuple[Type, Term] | None = None,
    ) -> list[Term]:
        """Returns the terms of a region's results.

        Args:
          region: what is computed, dead code removed.
          arguments: terms of its arguments.
          cut: (type, term): values of this type that depend on this term are replaced by it.
        """
        return _Evaluation(self, cut).run(region, arguments)

    def constant(self, type_: Type, text: str) -> Term:
        """Returns the term of a constant; `text` is as MLIR prints it."""
        splat = _SPLAT.fullmatch(text)
        if splat is None and not text.startswith("blake2b:"):
            return self.add(f"constant {text}", ())
        if splat is None:
            return self.add(f"constant {type_} {text}", ())
        return self._splat(type_, splat.group(1))

    def _splat(self, type_: Type, number: str) -> Term:
        term = self.add(f"all {type_} {number}", ())
        self._splats[term] = number
        return term

    def apply(
        self, operation: Operation, operands: Sequence[Term], returned: Sequence[Term]
    ) -> Term:
        """Returns the term of an operation; `returned` are the results of its regions."""
        name, type_ = operation.name, operation.results[0].type
        if name in CHAINS:
            return self.add(f"chain {name} {type_}", operands, ordered=False)
        if name == "stablehlo.constant":
            return self.constant(type_, operation.attribute("value"))
        if name in _SPREADS and operands[0] in self._splats:
            return self._splat(type_, self._splats[operands[0]])
        attributes = operation.attributes
        if name == "stablehlo.compare":
            way = operation.attribute("comparison_direction").removesuffix(">").split()[-1]
            kind = operation.attribute("compare_type")
            label = f"compare {_MIRRORED.get(way, way)} {kind} {type_}"
            children = operands[::-1] if way in _MIRRORED else operands
            return self.add(label, children, ordered=way not in ("EQ", "NE"))
        types = [str(result.type) for result in operation.results]
        inner = [len(region.results) for region in operation.regions]
        return self.add(f"{name} {attributes} {types} {inner}", [*operands, *returned])

    # Terms within loops.

    def substitute(self, terms: Sequence[Term], by: Mapping[Term, Term], depth: int) -> list[Term]:
        """Returns the terms with arguments of a region at `depth` replaced."""
        new: dict[Term, Term] = {}
        for term in self.below(terms, depth):
            if term in by:
                new[term] = by[term]
                continue
            children = [new.get(child, child) for child in self._children[term]]
            new[term] = self.add(self._labels[term], children, self._ordered[term])
        return [new.get(term, term) for term in terms]

    def rank(
        self, carries: Sequence[Term], starts: Sequence[Term], nexts: Sequence[Term], depth: int
    ) -> list[int]:
        """Returns the positions of a loop's carries in an order that comes from what they do.

        A carry is told from the others by what it starts as and by how it goes on, which is told
        by what the carries it reads start as, and so on. Parameters look alike here.
        """
        colours = [self._outlines[start] for start in starts]
        for _ in carries:
            given = dict(zip(carries, colours, strict=True))
            table = self.colours(nexts, given, depth)
            outlines = [table.get(term, self._outlines[term]) for term in nexts]
            refined = [
                digest(colour, outline) for colour, outline in zip(colours, outlines, strict=True)
            ]
            if len(set(refined)) == len(set(colours)):
                break
            colours = refined
        return sorted(range(len(carries)), key=lambda position: colours[position])

    def below(self, roots: Iterable[Term], depth: int = -1) -> list[Term]:
        """Returns all terms in these terms that may read a region at `depth`, parts first.

        Every pass over terms begins here, so here they are counted.

        Raises:
          Rejected: at stage `over_budget` when passes take too long.
        """
        distinct = set(roots)
        waiting = [root for root in distinct if self._levels[root] > depth]
        found = set(waiting)
        self._count(len(distinct) + len(self._labels) // 64)  # `colours` copies a table of all
        while waiting:
            children = self._children[waiting.pop()]
            self._count(1 + len(children))
            for child in children:
                if self._levels[child] > depth and child not in found:
                    found.add(child)
                    waiting.append(child)
        return sorted(found)

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise Rejected("over_budget", "its function takes too long to tell from others")

    # Colours.

    def colours(
        self, roots: Iterable[Term], given: Mapping[Term, bytes], depth: int = -1
    ) -> dict[Term, bytes]:
        """Returns the colours of all terms below these, those of leaves being given.

        With a depth, terms that read nothing of a region that deep keep the colour they have when
        all parameters look alike.
        """
        order = self.below(roots, depth)
        table = list(self._outlines) if depth >= 0 else [b""] * len(self._outlines)
        for term in order:
            table[term] = given[term] if term in given else self._colour(term, table)
        return {term: table[term] for term in order}

    def uses(self, roots: Iterable[Term], given: Mapping[Term, bytes]) -> dict[Term, bytes]:
        """Returns for each given leaf the colour of how the roots use it.

        Each term tells its children its own colour, how it is itself used, and which child they
        are; what a child is told is a multiset, added up as numbers.
        """
        order = self.below(roots)
        table = self.colours(roots, given)
        told = dict.fromkeys(order, 0)
        for root in set(roots):
            told[root] += 1
        for term in reversed(order):
            children = self._children[term]
            if not children:
                continue
            message = table[term] + (told[term] % 2**128).to_bytes(16, "big")
            whole = hashlib.blake2b(message, digest_size=16).digest()
            if self._ordered[term]:
                for position, child in enumerate(children):
                    told[child] += _number(whole, position)
            else:
                number = _number(whole, 0)
                for child in children:
                    told[child] += number
        return {term: (told.get(term, 0) % 2**128).to_bytes(16, "big") for term in given}


def _number(message: bytes, position: int) -> int:
    text = message + position.to_bytes(4, "big")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


class _Evaluation:
    """One pass over a program's operations, in order."""

    def __init__(self, terms: Terms, cut: tuple[Type, Term] | None):
        self._terms = terms
        self._cut = cut
        self._env: dict[Value, Term] = {}
        self._from_cut: set[Term] = {cut[1]} if cut else set()

    def run(self, region: Region, arguments: Sequence[Term], depth: int = 0) -> list[Term]:
        self._env.update(zip(region.arguments, arguments, strict=True))
        for operation in region.operations:
            results = self._operation(operation, depth)
            if self._cut is not None:
                results = self._after_cut(operation, results)
            self._env.update(zip(operation.results, results, strict=True))
        return [self._env[result] for result in region.results]

    def _after_cut(self, operation: Operation, results: Sequence[Term]) -> list[Term]:
        assert self._cut is not None
        type_, term = self._cut
        read = {self._env[operand] for operand in operation.operands}
        if not read & self._from_cut:
            return list(results)
        found = [
            term if value.type == type_ else result
            for value, result in zip(operation.results, results, strict=True)
        ]
        self._from_cut.update(found)
        return found

    def _operation(self, operation: Operation, depth: int) -> list[Term]:
        terms, operands = self._terms, [self._env[operand] for operand in operation.operands]
        if operation.name == BARRIER:
            return operands
        if operation.name == "stablehlo.while":
            return self._loop(operation, operands, depth)
        if operation.name in ("stablehlo.case", "stablehlo.if"):
            branches = [self.run(region, (), depth) for region in operation.regions]
            return [
                terms.add(operation.name, [operands[0], *(branch[i] for branch in branches)])
                for i in range(len(operation.results))
            ]
        returned = []
        for number, region in enumerate(operation.regions):
            arguments = self._arguments(region.arguments, f"argument {number}", depth)
            returned += self.run(region, arguments, depth + 1)
        whole = terms.apply(operation, operands, returned)
        if len(operation.results) == 1:
            return [whole]
        return [terms.add(f"result {i}", [whole]) for i in range(len(operation.results))]

    def _arguments(self, values: Iterable[Value], label: str, depth: int) -> list[Term]:
        return [
            self._terms.leaf(f"{label} {depth} {i} {value.type}", level=depth + 1)
            for i, value in enumerate(values)
        ]

    def _loop(self, operation: Operation, starts: Sequence[Term], depth: int) -> list[Term]:
        terms, (condition, body) = self._terms, operation.regions
        carries = self._arguments(body.arguments, "carry", depth)
        nexts = self.run(body, carries, depth + 1)
        go_on = self.run(condition, carries, depth + 1)
        changing = list(range(len(carries)))
        while fixed := {carries[i]: starts[i] for i in changing if nexts[i] == carries[i]}:
            changing = [i for i in changing if carries[i] not in fixed]
            go_on = terms.substitute(go_on, fixed, depth)
            nexts = terms.substitute(nexts, fixed, depth)
        order = terms.rank(
            [carries[i] for i in changing],
            [starts[i] for i in changing],
            [nexts[i] for i in changing],
            depth,
        )
        changing = [changing[position] for position in order]
        values = [body.arguments[i] for i in changing]
        arguments = self._arguments(values, "carried", depth)
        names = {carries[i]: argument for i, argument in zip(changing, arguments, strict=True)}
        go_on = terms.substitute(go_on, names, depth)
        nexts = terms.substitute([nexts[i] for i in changing], names, depth)
        types = [str(value.type) for value in values]
        whole = terms.add(f"while {types}", [*(starts[i] for i in changing), *go_on, *nexts])
        results = list(starts)
        for place, i in enumerate(changing):
            results[i] = terms.add(f"result {place}", [whole])
        return results
