"""Attacks within the graph: cost, constants, sizes, precision. Their text looks honest mostly."""

from tests.attacks.attack import GRAPH, Attack, in_call

_AWAY = "x = jax.lax.stop_gradient(z)\n"
_STEPS = "steps of loops"


def _in_call(name, tries, code, reason="", ends="over_budget", static=None, **more):
    return Attack(f"graph_{name}", tries, in_call(code), static, ends, reason, **more)


ATTACKS = (
    _in_call(
        "endless",
        "has a loop that never ends, where no gradient goes",
        f"{_AWAY}z = z + jax.lax.while_loop(lambda c: jnp.all(c < 9), lambda c: jnp.sin(c), x)",
        "not known in advance",
    ),
    _in_call(
        "endless_gradient",
        "has a loop that never ends, where gradients go",
        "z = jax.lax.while_loop(lambda c: jnp.all(c < 9), lambda c: jnp.sin(c), z)",
        "Reverse-mode differentiation does not work",
        "trace",
    ),
    _in_call(
        "endless_reduction",
        "hides a loop that never ends in the body of a reduction",
        f"{_AWAY}step = lambda c: jnp.sin(c)\n"
        "add = lambda a, b: jax.lax.while_loop(lambda c: c < 9, step, a) + b\n"
        "z = z + jax.lax.reduce(x, jnp.float32(0), add, (2,))[..., None]",
        "not known in advance",
    ),
    _in_call(
        "long_reduction",
        "hides a loop of a thousand million steps in the body of a reduction",
        f"{_AWAY}add = lambda a, b: jax.lax.fori_loop(0, 10**9, lambda i, c: jnp.sin(c) + b, a)\n"
        "z = z + jax.lax.stop_gradient(jax.lax.reduce_window("
        "x, jnp.float32(0), add, (1, 1, 8), (1, 1, 1), 'VALID'))",
        "not known in advance",
    ),
    _in_call(
        "endless_initialiser",
        "draws a parameter by a loop that never ends",
        "def draw(shape, dtype):\n"
        "    return jax.lax.while_loop(\n"
        "        lambda c: jnp.all(c < 9), lambda c: jnp.sin(c), jnp.zeros(shape, dtype))\n"
        "z = z + hk.get_parameter('w', (self.out_size,), init=draw)",
        "not known in advance",
    ),
    _in_call(
        "costly_initialiser",
        "draws a parameter by a product of huge matrices",
        "def draw(shape, dtype):\n"
        "    huge = jnp.ones((20000, 20000))\n"
        "    return jnp.zeros(shape, dtype) + jnp.sum(huge @ huge)\n"
        "z = z + hk.get_parameter('w', (self.out_size,), init=draw)",
        "FLOPs",
    ),
    _in_call(
        "idle_steps",
        "takes two thousand million steps that only move arrays, which are no FLOPs",
        f"{_AWAY}z = z + jax.lax.fori_loop(0, 2**31 - 2, lambda i, c: c[:, ::-1], x)",
        f"{_STEPS}|bytes moved",
    ),
    _in_call(
        "nested_loops",
        "multiplies its steps by loops within loops",
        f"{_AWAY}f = lambda c: jnp.sin(c)\n"
        "for _ in range(5):\n"
        "    f = lambda c, g=f: jax.lax.fori_loop(0, 1000, lambda i, c: g(c), c)\n"
        "z = z + f(x)",
        f"{_STEPS}|FLOPs|bytes",
    ),
    _in_call(
        "far_too_large",
        "multiplies huge matrices",
        "w = jnp.ones((30000, 30000)) * z[0, 0, 0]\nz = z + jnp.sum(w @ w)",
        "GiB of memory|FLOPs",
    ),
    _in_call(
        "work_without_gradient",
        "does its work where no gradient goes, so that the VJP does not show it",
        f"{_AWAY}w = jnp.ones((8000, 8000)) * x[0, 0, 0]\n"
        "z = z + jax.lax.stop_gradient(jnp.sum(w @ w))",
        "FLOPs|GiB",
    ),
    _in_call(
        "memory",
        "stores an array that no machine has room for",
        "w = jnp.sin(jnp.arange(2**31 - 1) * z[0, 0, 0])\nz = z + jnp.sort(w)[0]",
        "GiB of memory",
    ),
    _in_call(
        "exponential",
        "doubles its operations twelve times by functions that call functions",
        "f = lambda c: jnp.sin(c)\n"
        "for _ in range(12):\n"
        "    f = jax.jit(lambda c, g=f: g(g(c) + 1))\n"
        "z = f(z)",
        "operations, limit",
    ),
    _in_call(
        "many_operations",
        "unrolls thousands of operations",
        "for _ in range(1500):\n    z = jnp.sin(z) * 0.5",
        "operations, limit",
    ),
    _in_call(
        "deep_branches",
        "nests branches within branches",
        "f = lambda c: jnp.sin(c)\n"
        "for _ in range(45):\n"
        "    f = lambda c, g=f: jax.lax.cond(c[0, 0, 0] > 0, g, lambda c: c, c)\n"
        "z = f(z)",
        "nested|operations|recursion",
    ),
    _in_call(
        "shifted_carries",
        "has a loop hand on fourteen hundred numbers that only their place tells apart",
        "turn = lambda i, c: (jnp.sin(c[-1]), *c[:-1])\n"
        "z = z + jax.lax.fori_loop(0, 3, turn, (jax.lax.stop_gradient(z)[0, 0, 0],) * 1400)[7]",
        "too long to tell from others",
    ),
    _in_call(
        "alike_parameters",
        "has hundreds of parameters that only their use tells apart, one after the other",
        "w = [hk.get_parameter(f'w{i}', (), init=jnp.zeros) for i in range(200)]\n"
        "z = z + sum(a * jnp.sin(b) for a, b in zip(w, w[1:]))",
        "",
        GRAPH,
    ),
    _in_call(
        "many_dimensions",
        "hides the length of a product from its estimate behind forty dimensions",
        "z = z.reshape((1,) * 40 + z.shape).reshape(z.shape)",
        "more than 32 dimensions",
        "trace",
    ),
    _in_call(
        "ragged_product",
        "multiplies huge matrices by an operation of which JAX has its own name",
        f"{_AWAY}w = jnp.ones((1, 20000, 20000)) * x[0, 0, 0]\n"
        "z = z + jnp.sum(jax.lax.ragged_dot(w[0], w, jnp.array([20000], jnp.int32)))",
        "FLOPs|GiB",
    ),
    _in_call(
        "platform",
        "is cheap where it is looked at and never ends on an accelerator",
        f"{_AWAY}loop = lambda x: jax.lax.while_loop("
        "lambda c: jnp.all(c < 9), lambda c: jnp.sin(c), x)\n"
        "z = z + jax.lax.stop_gradient("
        "jax.lax.platform_dependent(x, cpu=lambda x: x, default=loop))",
        "not known in advance",
        static="`jax.lax.platform_dependent`",
    ),
    _in_call(
        "nothing",
        "returns zeros, for the fitness of no parameters",
        "z = jnp.zeros_like(z)",
        "cannot change a prediction",
        "inert",
    ),
    _in_call(
        "input_unread",
        "returns a parameter whatever goes in",
        "z = jnp.broadcast_to(hk.get_parameter('w', (self.out_size,), init=jnp.zeros), z.shape)",
        "",
        GRAPH,
    ),
    _in_call(
        "hidden_parameters",
        "hides parameters as a table of constants drawn while tracing",
        "w = jax.random.normal(jax.random.PRNGKey(3), (2 * 8, 8))\n"
        "z = z + jnp.concatenate([node_fts, hidden], -1) @ w",
        "",
        GRAPH,
    ),
    _in_call(
        "learnt_constants",
        "writes numbers into its text that were learnt elsewhere",
        "w = jnp.array([float(n) for n in b'learnt elsewhere' * 8]).reshape(16, 8)\n"
        "z = z + jnp.concatenate([node_fts, hidden], -1) @ w",
        "",
        GRAPH,
    ),
    _in_call(
        "other_at_other_sizes",
        "computes something else where it is validated",
        "if z.shape[1] == 5:\n    z = -jnp.abs(z)",
        "",
        GRAPH,
    ),
    _in_call(
        "parameters_by_size",
        "has other parameters where it is validated",
        "if z.shape[1] == 5:\n    z = hk.Linear(8)(z)",
        "parameters must not depend on the size",
        "trace",
    ),
    _in_call(
        "low_precision",
        "computes in eight bits and in half precision",
        "z = (z * 9).astype(jnp.int8).astype(jnp.float16).astype(jnp.float32)",
        "",
        GRAPH,
    ),
    _in_call(
        "wrong_precision",
        "returns half precision",
        "z = z.astype(jnp.bfloat16)",
        "expected float32",
        "trace",
    ),
    _in_call(
        "wrong_shape",
        "returns one node too few",
        "z = z[:, 1:]",
        "returned node of shape",
        "trace",
    ),
    _in_call(
        "leaked_tracer",
        "returns an array of another trace",
        "kept = []\njax.jit(lambda x: kept.append(x) or x)(z)\nz = kept[0]",
        "UnexpectedTracerError|leaked|Error",
        "trace",
    ),
    _in_call(
        "strange_output",
        "returns an object that only looks like an array",
        "class Strange:\n    shape = (4, 4, 8)\n    dtype = jnp.float32\nz = Strange()",
        "Error|expected|returned",
        "trace",
    ),
    _in_call(
        "lying_gradient",
        "lies about its gradient",
        "f = jax.custom_vjp(lambda x: x)\n"
        "f.defvjp(lambda x: (x, None), lambda _, g: (-1e3 * g,))\nz = f(z)",
        "",
        GRAPH,
        "`jax.custom_vjp`",
    ),
    _in_call(
        "name",
        "gives a module a name with markup and control sequences in it",
        "z = hk.Linear(8, name='\\x1b[2J<script>')(z)",
        "malformed|ValueError|valid",
        "trace",
    ),
    _in_call(
        "location",
        "writes control sequences into the names of operations",
        "with jax.named_scope('\\x1b[2J' * 99):\n    z = jnp.sin(z)",
        "",
        GRAPH,
    ),
)
