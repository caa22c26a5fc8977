"""The fingerprint of a graph: equal for equal functions, whatever the text.

A graph becomes terms (`terms.py`): each distinct expression once, dead code gone, sums and other
chains as multisets. What is left open is which parameter is which, since names and positions must
not count. Colour refinement in the manner of Weisfeiler and Leman settles it: parameters start with
the colour of their shape and description, terms pass colours up to those that read them and down to
what they read, and so on until no more parameters can be told apart. Those still alike are told
apart one by one. Then the colours of all terms that leave the graph (outputs, their cotangents,
initialisers) say exactly which function it is and how it is trained.

Reference: B. Weisfeiler, A. Leman, "The reduction of a graph to canonical form and the algebra
which appears therein", 1968.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from evo_clrs.gates import mlir
from evo_clrs.gates.dataflow import Program, Type
from evo_clrs.gates.liveness import without_dead_code
from evo_clrs.gates.mlir import GraphPrograms
from evo_clrs.gates.terms import Term, Terms, digest
from evo_clrs.records import Graph, SizedGraph

KEY = Type((2,), "ui32")

# So many interchangeable parameters are told apart with care (64 heads take 2 s); others are told
# apart by position.
MAX_MARKS = 64


def fingerprint(graph: Graph | GraphPrograms) -> str:
    """Returns the fingerprint of a graph: 32 hexadecimal digits.

    It covers what training and prediction see: outputs and their VJP at every size, the
    initialisers at the first one, and the static properties. It does not see names, order of
    parameters, dead parameters, or the order in which sums are taken. Sizes for several seeds
    together are left out, so that it is the same whether a program is traced at them or not.

    Raises:
      Rejected: as `mlir.read`.
    """
    programs = graph if isinstance(graph, GraphPrograms) else mlir.read_graph(graph)
    programs = programs.for_seeds(None)
    graph = programs.graph
    terms = Terms()
    looks = [f"parameter {p.shape} {p.dtype} {p.initialiser}" for p in graph.parameters]
    parameters = [terms.leaf(f"parameter {i}", look) for i, look in enumerate(looks)]
    roots: list[Term] = []
    for sized, forward in zip(graph.sizes, programs.forward, strict=True):
        roots += _outputs(terms, sized, without_dead_code(forward), parameters)
    used = set(terms.below(roots))
    live = [index for index, parameter in enumerate(parameters) if parameter in used]
    for sized, backward in zip(graph.sizes, programs.backward, strict=True):
        roots += _cotangents(terms, sized, without_dead_code(backward), parameters, live)
    if programs.init:
        coded = [i for i, entry in enumerate(graph.parameters) if entry.initialiser is None]
        roots += _initialisers(terms, without_dead_code(programs.init), parameters, live, coded)
    colours = {parameters[index]: digest(looks[index]) for index in live}
    colours = _tell_apart(terms, roots, colours)
    final = terms.colours(roots, colours)
    properties = sorted((name, bool(value)) for name, value in graph.properties.items())
    head = f"{graph.slot} {properties} {[sized.size for sized in graph.sizes]}"
    return digest(head, *sorted(final[root] for root in roots)).hex()


def _arguments(terms: Terms, program: Program, parameters: Sequence[Term]) -> list[Term]:
    """Returns the terms of a program's arguments: parameters, then all others by position."""
    found = []
    for position, value in zip(program.positions, program.body.arguments, strict=True):
        if position < len(parameters):
            found.append(parameters[position])
        else:
            found.append(terms.leaf(f"input {position - len(parameters)} {value.type}"))
    return found


def _outputs(
    terms: Terms, sized: SizedGraph, program: Program, parameters: Sequence[Term]
) -> list[Term]:
    results = terms.evaluate(program.body, _arguments(terms, program, parameters))
    present = [i for i, shape in enumerate(sized.outputs) if shape is not None]
    return [
        terms.add(f"output {output} at {sized.size}", [result])
        for output, result in zip(present, results, strict=True)
    ]


def _cotangents(
    terms: Terms,
    sized: SizedGraph,
    program: Program,
    parameters: Sequence[Term],
    live: Sequence[int],
) -> list[Term]:
    """Returns the terms of the VJP: of inputs by position, of live parameters by parameter."""
    results = terms.evaluate(program.body, _arguments(terms, program, parameters))
    count = len(parameters)
    found = [
        terms.add(f"cotangent at {sized.size}", [parameters[index], results[index]])
        for index in live
    ]
    for position, result in enumerate(results[count:]):
        found.append(terms.add(f"cotangent of input {position} at {sized.size}", [result]))
    return found


def _initialisers(
    terms: Terms,
    program: Program,
    parameters: Sequence[Term],
    live: Collection[int],
    coded: Sequence[int],
) -> list[Term]:
    """Returns the terms of the live parameters' initialisers, those that the program codes.

    Haiku gives the i-th parameter the i-th split of the key. How a key came about is therefore
    left out, or the order of creating parameters would show.
    """
    key = terms.leaf("key")
    arguments = [key for _ in program.body.arguments]
    results = terms.evaluate(program.body, arguments, cut=(KEY, key))
    return [
        terms.add("initialiser", [parameters[index], result])
        for index, result in zip(coded, results, strict=True)
        if index in live
    ]


def _tell_apart(
    terms: Terms, roots: Sequence[Term], colours: Mapping[Term, bytes]
) -> dict[Term, bytes]:
    """Returns a colour of its own for each parameter, the same whatever their order.

    Parameters that refinement cannot part are nearly always interchangeable (`p * x + q * x`), so
    that it does not matter which of them is marked. Where they are not, or where there are very
    many, equal functions may get different fingerprints, never different functions equal ones.
    """
    colours = _refine(terms, roots, colours)
    for _ in range(MAX_MARKS):
        classes = Counter(colours.values())
        if len(classes) == len(colours):
            return colours
        alike = min(colour for colour, count in classes.items() if count > 1)
        chosen = next(term for term, colour in colours.items() if colour == alike)
        colours = _refine(terms, roots, {**colours, chosen: digest("marked", alike)})
    return {
        term: digest(str(index), colour) for index, (term, colour) in enumerate(colours.items())
    }


def _refine(
    terms: Terms, roots: Sequence[Term], colours: Mapping[Term, bytes]
) -> dict[Term, bytes]:
    """Returns colours refined by use until no more parameters are told apart."""
    current = dict(colours)
    classes = len(set(current.values()))
    while classes < len(current):
        uses = terms.uses(roots, current)
        refined = {term: digest("use", colour, uses[term]) for term, colour in current.items()}
        found = len(set(refined.values()))
        if found == classes:
            break
        current, classes = refined, found
    return current
