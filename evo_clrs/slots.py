"""The slots: what a program must define, as data.

A slot says everything the other rooms need to know of a program from outside: its signature, the
shapes that go in and come out, what it may import, and the words that describe it in a prompt.

Programs of most slots are traced in the jail. Those of a slot with a design space are read as
text and never run, see `spaces`.
"""

import dataclasses
from collections.abc import Mapping

from evo_clrs import program, spaces
from evo_clrs.records import Size

# Modules a program may import, by the name it must bind them to.
GUEST_IMPORTS: Mapping[str, str] = {
    "clrs": "clrs",
    "haiku": "hk",
    "jax": "jax",
    "jax.numpy": "jnp",
    "numpy": "np",
    "math": "math",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One array that enters or leaves a slot.

    Attributes:
      name: argument name.
      shape: dimension symbols, e.g. `("B", "N", "H")`; `"2H"` is twice H, `"*"` is any width.
      about: what it holds, for prompts.
      optional: whether None may stand for it (outputs only).
      factored: whether it enters the graph as R channels and their vectors (inputs only), see
        `linear`; a program sees the product.
    """

    name: str
    shape: tuple[str, ...]
    about: str
    optional: bool = False
    factored: bool = False

    def at(self, size: Size) -> tuple[int, ...]:
        """Returns the shape at a size; `"*"` becomes -1."""
        dimensions = dict(size)

        def value(symbol: str) -> int:
            if symbol == "*":
                return -1
            if symbol[0].isdigit():
                return int(symbol[0]) * dimensions[symbol[1:]]
            return dimensions[symbol]

        return tuple(value(symbol) for symbol in self.shape)


@dataclasses.dataclass(frozen=True)
class Slot:
    """What a program must define. Slots are stateless: parameters and a key in, arrays out.

    Attributes:
      name: the slot's name.
      kind: `class` (constructed with `constants`, then called with the inputs), `function`
        (called with the inputs and then `constants` by keyword), or `design` (read, never run).
      definition: name of the class or function that the program must define at top level.
      base: base class the definition must name, None for a function.
      constants: keyword arguments that carry a dimension, e.g. `(("out_size", "H"),)`.
      call_constants: for a class, keyword arguments of each call that carry a dimension.
      inputs: arrays that go in, float32, in order of the positional parameters.
      outputs: arrays that come out, float32, as a tuple in this order (a single one bare).
      properties: boolean attributes of the definition that shape the decoders, read once.
      opening: the text with which a prompt ends, for a language model to continue.
      about: what the slot is for, in words for prompts.
      imports: modules a program may import, by the name it must bind them to.
      space: for kind `design` the space of designs, else None.
    """

    name: str
    kind: str
    definition: str
    base: str | None
    constants: tuple[tuple[str, str], ...]
    call_constants: tuple[tuple[str, str], ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    properties: tuple[str, ...]
    opening: str
    about: str
    imports: Mapping[str, str] = dataclasses.field(default_factory=lambda: GUEST_IMPORTS)
    space: spaces.Space | None = None

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """What enters the graph: the inputs, factored ones as channels and vectors."""
        arguments: list[Tensor] = []
        for tensor in self.inputs:
            *leading, width = tensor.shape
            if tensor.factored:
                arguments += [
                    Tensor(f"{tensor.name}_channels", (*leading, "R"), "numbers"),
                    Tensor(f"{tensor.name}_vectors", ("R", width), "what they are multiplied by"),
                ]
            else:
                arguments.append(tensor)
        return tuple(arguments)

    def identity(self, source: str) -> str:
        """Returns the identity of a program: of its normal form, or of the design it writes.

        Raises:
          ValueError: it does not parse, or is no design of the slot's space.
        """
        if self.space is None:
            return program.identity(source)
        return spaces.identity(self.space, self.space.read(source))


PROCESSOR = Slot(
    name="processor",
    kind="class",
    definition="Processor",
    base="clrs.processors.Processor",
    constants=(("out_size", "H"),),
    call_constants=(("batch_size", "B"), ("nb_nodes", "N")),
    inputs=(
        Tensor("node_fts", ("B", "N", "H"), "encoded node features"),
        Tensor("edge_fts", ("B", "N", "N", "H"), "encoded edge features", factored=True),
        Tensor("graph_fts", ("B", "H"), "encoded graph features"),
        Tensor("adj_mat", ("B", "N", "N"), "adjacency matrix of 0 and 1, with self-loops"),
        Tensor("hidden", ("B", "N", "H"), "node embeddings of the previous step"),
    ),
    outputs=(
        Tensor("node", ("B", "N", "H"), "new node embeddings"),
        Tensor("edge", ("B", "N", "N", "*"), "edge embeddings, or None", optional=True),
    ),
    properties=("inf_bias", "inf_bias_edge"),
    opening="class Processor(clrs.processors.Processor):\n",
    about=(
        "One step of message passing over a graph: a Haiku module that reads node, edge and graph "
        "features and the previous node embeddings, and returns new node embeddings and, "
        "if it likes, edge embeddings."
    ),
)

TRIPLET = Slot(
    name="triplet",
    kind="function",
    definition="get_triplet_msgs",
    base=None,
    constants=(("nb_triplet_fts", "K"), ("out_size", "H")),
    call_constants=(),
    inputs=(
        Tensor("z", ("B", "N", "2H"), "node features and previous node embeddings"),
        Tensor("edge_fts", ("B", "N", "N", "H"), "encoded edge features", factored=True),
        Tensor("graph_fts", ("B", "H"), "encoded graph features"),
    ),
    outputs=(Tensor("edge", ("B", "N", "N", "*"), "messages for each pair of nodes"),),
    properties=(),
    opening="def get_triplet_msgs(z, edge_fts, graph_fts, nb_triplet_fts, out_size):\n",
    about=(
        "The triplet message function of Triplet-GMPNN: it reads node, edge and graph features and "
        "returns one message vector for each pair of nodes, usually by reducing over a third node."
    ),
)

NETWORK = Slot(
    name="network",
    kind="class",
    definition="Network",
    base="hk.Module",
    constants=(("classes", "C"),),
    call_constants=(),
    inputs=(Tensor("x", ("B", "L"), "signals, one a row"),),
    outputs=(Tensor("logits", ("B", "C"), "unnormalised log-probabilities of the classes"),),
    properties=(),
    opening="class Network(hk.Module):\n",
    about=(
        "A whole network that classifies short one-dimensional signals: a Haiku module that reads "
        "a batch of signals and returns one logit for each class."
    ),
    imports={name: bound for name, bound in GUEST_IMPORTS.items() if name != "clrs"},
)


def _design_slot(name: str, space: spaces.Space) -> Slot:
    return Slot(
        name=name,
        kind="design",
        definition=space.definition,
        base=None,
        constants=(),
        call_constants=(),
        inputs=(),
        outputs=(),
        properties=(),
        opening=space.opening,
        about=space.about,
        imports={},
        space=space,
    )


CELL = _design_slot("cell", spaces.CELL)
MACRO = _design_slot("macro", spaces.MACRO)
SIZES = _design_slot("sizes", spaces.SIZES)

SLOTS: Mapping[str, Slot] = {
    slot.name: slot for slot in (PROCESSOR, TRIPLET, NETWORK, CELL, MACRO, SIZES)
}
