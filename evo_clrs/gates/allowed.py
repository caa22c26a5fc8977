"""What a program may name: attributes of the modules it imports, builtins, decorators.

The lists serve authors, human or not: what is missing here has no meaning inside a stateless,
traced slot. They do not have to hold against an attacker; the jail does.
"""

from collections.abc import Mapping

from evo_clrs.scopes import words

BUILTINS = words(
    "abs all any bool dict enumerate filter float frozenset int isinstance len list map max min "
    "pow property range reversed round set slice sorted staticmethod str sum super tuple zip "
    "AssertionError NotImplementedError RuntimeError TypeError ValueError"
)

DECORATORS = words(
    "property staticmethod jax.checkpoint jax.jit jax.remat jax.vmap hk.remat hk.transparent"
)

# Attributes of values (not of modules) through which interpreter or files could be reached.
DENIED_ATTRIBUTES = words(
    "ag_frame co_code cr_frame dump dumps f_back f_builtins f_code f_globals f_locals format "
    "format_map func_code func_globals gi_code gi_frame mro tb_frame tb_next tofile"
)

_JAX_NUMPY_DENIED = words(
    "from_dlpack fromfile frombuffer fromfunction frompyfunc get_printoptions load printoptions "
    "save savez set_printoptions"
)

_JAX_LAX_DENIED = words(
    "after_all all_gather all_to_all axis_index axis_size create_token linalg "
    "optimization_barrier pbroadcast pcast platform_dependent pmax pmean pmin ppermute precv psend "
    "pshuffle psum "
    "psum_scatter pswapaxes ragged_all_to_all with_sharding_constraint"
)

_HAIKU = words(
    "AvgPool BatchApply Bias Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D ConvND "
    "DeepRNN DepthwiseConv1D DepthwiseConv2D Embed Flatten GRU GroupNorm IdentityCore "
    "InstanceNorm LSTM LSTMState LayerNorm Linear MaxPool Module MultiHeadAttention RMSNorm "
    "RNNCore ResetCore Reshape SeparableDepthwiseConv2D Sequential VanillaRNN avg_pool cond "
    "dropout dynamic_unroll expand_apply fori_loop get_parameter map max_pool maybe_next_rng_key "
    "name_scope next_rng_key next_rng_keys nets.MLP one_hot remat reserve_rng_keys scan "
    "static_unroll switch to_module transparent vmap while_loop"
)
_HAIKU_INITIALISERS = words(
    "Constant Identity Initializer Orthogonal RandomNormal RandomUniform TruncatedNormal "
    "UniformScaling VarianceScaling"
)
HAIKU_STATEFUL = words(
    "BatchNorm EMAParamsTree ExponentialMovingAverage SNParamsTree SpectralNorm "
    "get_current_state get_initial_state get_state set_state"
)

_JAX = words(
    "Array checkpoint default_matmul_precision jit named_scope ops.segment_max ops.segment_min "
    "ops.segment_prod ops.segment_sum remat scipy.special.entr scipy.special.erf "
    "scipy.special.expit scipy.special.logsumexp scipy.special.xlogy tree.leaves tree.map "
    "tree_util.tree_leaves tree_util.tree_map vmap"
)

_NUMPY = words(
    "abs allclose arange array asarray bool_ broadcast_to ceil clip concatenate cos cumsum dtype "
    "e euler_gamma exp expand_dims eye finfo float16 float32 float64 floor full full_like "
    "iinfo inf int32 int64 integer isinf isnan linspace log log1p log2 logical_and logical_not "
    "logical_or max maximum mean meshgrid min minimum mod nan ndarray ndim newaxis number ones "
    "ones_like outer pi power prod repeat reshape round shape sign sin size sqrt square stack sum "
    "tan tanh tile transpose tri tril tril_indices triu triu_indices where zeros zeros_like"
)

# Namespaces of which everything public may be used, but for the names given.
OPEN: Mapping[str, frozenset[str]] = {
    "jax.nn": frozenset(),
    "jax.nn.initializers": frozenset(),
    "jax.lax": _JAX_LAX_DENIED,
    "jax.random": frozenset(),
    "jax.numpy": _JAX_NUMPY_DENIED,
    "jax.numpy.fft": frozenset(),
    "jax.numpy.linalg": frozenset(),
    "math": frozenset(),
}

# Namespaces of which only the names given may be used.
CLOSED: Mapping[str, frozenset[str]] = {
    "clrs": frozenset({"processors.Processor"}),
    "haiku": _HAIKU | {f"initializers.{name}" for name in _HAIKU_INITIALISERS},
    "jax": _JAX,
    "numpy": _NUMPY,
}


def allowed_length(path: tuple[str, ...]) -> int:
    """Returns how many leading parts of a dotted path name something allowed; 0 if none does.

    What follows is an attribute of a value, e.g. `("jax", "numpy", "pi", "real")` gives 3.

    Args:
      path: module and attributes, with the module under its full name.
    """
    for length in range(len(path), 1, -1):
        space, name = ".".join(path[: length - 1]), path[length - 1]
        is_space = ".".join(path[:length]) in OPEN
        if space in OPEN and not is_space and name not in OPEN[space]:
            primitive = space == "jax.lax" and name.endswith("_p")
            return 0 if primitive or name.startswith("_") else length
    for root, names in CLOSED.items():
        if path[0] == root:
            for length in range(len(path), 1, -1):
                if ".".join(path[1:length]) in names:
                    return length
    return 0
