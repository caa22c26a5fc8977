"""Attacks on the score: what is not finite, and graphs that take for ever all the same."""

from tests.attacks.attack import Attack, in_call


def _in_call(name, tries, code, reason, slow=True):
    source, end = in_call(code), "failed"
    return Attack(f"score_{name}", tries, source, None, end, reason, trained=True, slow=slow)


ATTACKS = (
    _in_call("not_a_number", "returns NaN", "z = z * jnp.nan", "loss is not finite at step 1"),
    _in_call(
        "not_a_number_in_validation",
        "returns NaN where it is validated only, for a decision that NaN wins",
        "if z.shape[1] == 5:\n    z = z + jnp.nan",
        "a prediction is not finite",
        slow=False,
    ),
    _in_call(
        "infinite_in_validation",
        "returns infinity where it is validated only",
        "if z.shape[1] == 5:\n    z = z + jnp.inf",
        "a prediction is not finite",
    ),
    _in_call(
        "infinite_parameter",
        "draws an infinite parameter",
        "z = z * hk.get_parameter('w', (8,), init=hk.initializers.Constant(jnp.inf))",
        "loss is not finite at step 1",
    ),
    _in_call(
        "infinite_gradient",
        "is finite but for its gradient",
        "z = z + jnp.sqrt(jnp.abs(z) * 0)",
        "loss is not finite at step 2",
    ),
)
