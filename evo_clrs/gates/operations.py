"""The operations that a graph may be made of: pure functions of arrays of static shape.

Left out are operations that reach beyond the program (other devices, the host, hidden state),
those with shapes that are known only at run time, tuples, quantised numbers, and what JAX does not
write. `chlo.ragged_dot` comes from JAX as a composite only, which is costed by what it is made of,
and `chlo.scan` never. Calls to libraries have a list of their own, see
`graph.GraphLimits.custom_calls`.
"""

_STABLEHLO = """
    abs add and atan2 batch_norm_grad batch_norm_inference batch_norm_training bitcast_convert
    broadcast_in_dim case cbrt ceil cholesky clamp compare complex composite concatenate constant
    convert convolution cosine count_leading_zeros divide dot_general dynamic_slice
    dynamic_update_slice exponential exponential_minus_one fft floor gather if imag iota is_finite
    log log_plus_one logistic map maximum minimum multiply negate not optimization_barrier or pad
    popcnt power real reduce reduce_precision reduce_window remainder reshape return reverse
    rng_bit_generator round_nearest_afz round_nearest_even rsqrt scatter select select_and_scatter
    shift_left shift_right_arithmetic shift_right_logical sign sine slice sort sqrt subtract tan
    tanh transpose triangular_solve while xor
"""
_CHLO = """
    acos acosh asin asinh atan atanh bessel_i1e conj constant cosh digamma erf erf_inv erfc is_inf
    is_neg_inf is_pos_inf lgamma mulhi next_after polygamma sinh square tan top_k zeta
"""
_FUNC = "func call return"

ALLOWED = frozenset(
    f"{dialect}.{name}"
    for dialect, names in (("stablehlo", _STABLEHLO), ("chlo", _CHLO), ("func", _FUNC))
    for name in names.split()
)
