"""What edits of networks share: layers where they are applied, sequences, trials of a change."""

import ast
import copy
import dataclasses
from collections.abc import Callable, Collection

from evo_clrs.proposers.grammar.draft import Draft, Site, quote
from evo_clrs.proposers.grammar.layers import LAYERS
from evo_clrs.proposers.grammar.rules import ACTIVATIONS
from evo_clrs.proposers.grammar.shapes import infer
from evo_clrs.proposers.grammar.values import Array, Layer, ShapeError

# Widths that new layers get, from 4 to 512 in even steps of a logarithmic scale.
WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Layers that learn from data and so count as depth.
LEARNING = (
    *("hk.Linear", "hk.nets.MLP", "hk.Conv1D", "hk.DepthwiseConv1D"),
    *("hk.GRU", "hk.LSTM", "hk.VanillaRNN"),
)
POOLS = ("hk.max_pool", "hk.avg_pool")


@dataclasses.dataclass(frozen=True, eq=False)
class Applied:
    """A layer where it is applied.

    Attributes:
      node: the whole call, e.g. `hk.Linear(8)(x)`.
      statement: the statement that holds it.
      kind: e.g. `hk.Linear`.
      made: the call that constructs the layer, maybe elsewhere.
      x: what the layer is applied to.
    """

    node: ast.Call
    statement: ast.stmt
    kind: str
    made: ast.Call
    x: ast.expr

    def setting(self, name: str) -> ast.expr | None:
        """Returns the expression of one of the constructor's arguments, None where it has none."""
        names = LAYERS[self.kind]
        position = names.index(name)
        if position < len(self.made.args):
            return self.made.args[position]
        return next((k.value for k in self.made.keywords if k.arg == name), None)

    def put(self, name: str, value: ast.expr) -> None:
        """Sets one of the constructor's arguments."""
        position = LAYERS[self.kind].index(name)
        if position < len(self.made.args):
            self.made.args[position] = value
            return
        rest = [keyword for keyword in self.made.keywords if keyword.arg != name]
        self.made.keywords = [ast.keyword(arg=name, value=value), *rest]


def applied(draft: Draft, kinds: Collection[str] = LEARNING) -> list[Applied]:
    """Returns the layers of these kinds that the main body applies, in order."""
    found = []
    for node, statement in draft.expressions():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        layer, made = draft.value(node.func), draft.definition(node.func)
        if isinstance(layer, Layer) and layer.kind in kinds and isinstance(made, ast.Call):
            found.append(Applied(node, statement, layer.kind, made, node.args[0]))
    return found


def rank(draft: Draft, node: ast.expr) -> int:
    """Returns how many axes features have, 2 or 3; 0 for what are no features."""
    value = draft.value(node)
    is_features = isinstance(value, Array) and draft.is_features(value, least=1)
    return len(value.shape) if is_features and isinstance(value, Array) else 0


def vectors(draft: Draft) -> list[Site]:
    """Returns the sites [B, features] but for the output, names that layers read included."""
    sites = [*draft.inner_sites(), *inputs_of_layers(draft)]
    return [site for site in sites if len(site.shape) == 2]


def sequences(draft: Draft) -> list[Site]:
    """Returns the sites [B, T, features]."""
    return [site for site in draft.sites() if len(site.shape) == 3]


def inputs_of_layers(draft: Draft) -> list[Site]:
    """Returns the names that layers are applied to, single channels included."""
    found = []
    for layer in applied(draft):
        value = draft.value(layer.x)
        if isinstance(layer.x, ast.Name) and rank(draft, layer.x) and isinstance(value, Array):
            found.append(Site(layer.x, layer.statement, value.shape))
    return found


def sequences_at(draft: Draft, statement: ast.stmt) -> list[str]:
    """Returns names known before a statement that stand for [B, T, channels]."""
    found = []
    for name, value in draft.scope(statement).items():
        is_sequence = isinstance(value, Array) and len(value.shape) == 3
        if is_sequence and draft.is_features(value, least=1) and name != "_":
            found.append(name)
    return found


def signal(draft: Draft) -> ast.expr:
    """Returns the slot's signals as sequences of one channel, [B, L, 1]."""
    return quote("jnp.expand_dims(X, axis=2)", X=draft.inputs[0])


def parents(statement: ast.stmt) -> dict[int, ast.AST]:
    """Returns what holds each node of a statement, by the node's id."""
    return {id(child): node for node in ast.walk(statement) for child in ast.iter_child_nodes(node)}


def with_activation(draft: Draft, layer: Applied) -> ast.expr:
    """Returns a layer's call with the activation function around it, if there is one."""
    outer = parents(layer.statement).get(id(layer.node))
    if isinstance(outer, ast.Call) and draft.called(outer) in ACTIVATIONS:
        return outer
    return layer.node


def fits(draft: Draft) -> bool:
    """Whether the tree as it is now is known to fit the slot."""
    try:
        return infer(draft.tree, draft.slot).fits(draft.slot)
    except ShapeError:
        return False


def exchange(draft: Draft, statement: ast.stmt, old: ast.expr, new: ast.expr) -> bool:
    """Puts an expression in the place of another if the program then fits, else leaves it."""
    draft.substitute(statement, old, new)
    if fits(draft):
        return True
    draft.substitute(statement, new, old)
    return False


def attempt(draft: Draft, call: ast.Call, change: Callable[[], None]) -> bool:
    """Changes the arguments of a call if the program then fits, else leaves them."""
    args, keywords = copy.deepcopy(call.args), copy.deepcopy(call.keywords)
    change()
    if fits(draft):
        return True
    call.args, call.keywords = args, keywords
    return False
