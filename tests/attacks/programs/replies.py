"""Attacks on whoever reads the reply: forged frames, forged exports, forged StableHLO."""

from tests.attacks.attack import GRAPH, Attack, at_import

_EARLY = "may not be imported so|`from ... import`|the top level may hold only"

# Writes raw bytes in place of a reply.
_RAW = """
import os, struct, json
from evo_clrs.jail import frames
def frame(header, blobs=()):
    return frames.encode(header, blobs)
"""

# Has the genuine reply changed before it is sent.
_CHANGED = """
from evo_clrs.jail import frames
genuine = frames.encode
def forged(header, blobs=()):
    header, blobs = dict(header), list(blobs)
    if 'parameters' in header:
        header, blobs = change(header, blobs)
    return genuine(header, blobs)
frames.encode = forged
"""

# Has fields of the genuine exports changed before they are serialised.
_EXPORTED = """
import dataclasses
from jax import export
genuine = export.export
def forged(function, **options):
    def on(*arguments):
        return change(genuine(function, **options)(*arguments))
    return on
export.export = forged
"""

# Has the text of the genuine StableHLO changed; `insert` puts operations first in `main`.
_MODULE = (
    _EXPORTED
    + """
import re
from jax._src.export import _export
from jax._src.interpreters import mlir
from jaxlib.mlir import ir
def change(exported):
    with mlir.make_ir_context(), ir.Location.unknown():
        module = ir.Module.parse(edit(exported.mlir_module()))
        code = _export._module_to_bytecode(module)
    return dataclasses.replace(exported, mlir_module_serialized=code)
def insert(text, lines):
    main = r'(func.func public @main[^\\n]*\\n)'
    return re.sub(main, lambda match: match.group(1) + lines, text, count=1)
def use(kind):
    return f'stablehlo.custom_call @use(%evil) {{has_side_effect = true}} : ({kind}) -> ()\\n'
"""
)


def _attack(name, tries, code, reason="malformed", ends="trace"):
    return Attack(f"reply_{name}", tries, at_import(code), _EARLY, ends, reason)


def _raw(name, tries, expression, reason="malformed"):
    return _attack(name, tries, f"{_RAW}os.write(3, {expression})\nos._exit(0)", reason)


def _changed(name, tries, body, reason="malformed", ends="trace"):
    lines = f"def change(header, blobs):\n    {body}\n    return header, blobs\n"
    return _attack(name, tries, _CHANGED + lines, reason, ends)


def _drawn(name, tries, initialiser, reason="malformed"):
    body = (
        f"header['parameters'] = [[n, s, d, [{initialiser}]]"
        " for n, s, d, i in header['parameters']]"
    )
    return _changed(f"drawn_{name}", tries, body, reason)


def _exported(name, tries, fields, reason="is not exported with", ends="trace"):
    lines = f"def change(exported):\n    return dataclasses.replace(exported, {fields})\n"
    return _attack(name, tries, _EXPORTED + lines, reason, ends)


def _module(name, tries, expression, reason, ends="trace"):
    return _attack(
        name, tries, f"{_MODULE}def edit(text):\n    return {expression}\n", reason, ends
    )


ATTACKS = (
    _raw("nonsense", "sends bytes that are no frame", "b'nonsense' * 99"),
    _raw("cut", "sends half a frame", "frame({'error': 'x' * 99})[:50]"),
    _raw("twice", "sends two replies", "frame({'error': 'one'}) * 2"),
    _raw(
        "long_header",
        "promises a header of 4 GiB",
        "b'EVO1' + struct.pack('>II', 0xFFFFFFFF, 0)",
    ),
    _raw(
        "long_blobs",
        "promises blobs of very many bytes",
        "b'EVO1' + struct.pack('>IIQQ', 2, 2, 1 << 63, 1 << 63) + b'{}'",
    ),
    _raw(
        "many_blobs",
        "promises four thousand million blobs",
        "b'EVO1' + struct.pack('>II', 2, 0xFFFFFFFF)",
    ),
    _raw(
        "deep_json",
        "nests the header deeper than a parser can go",
        "b'EVO1' + struct.pack('>II', 60000, 0) + b'[' * 60000",
    ),
    _raw(
        "long_number",
        "writes a number of a million digits",
        "b'EVO1' + struct.pack('>II', 50000, 0) + b'{\"error\":' + b'9' * 49990 + b'}'",
    ),
    _raw(
        "no_json",
        "writes NaN where JSON knows none",
        "b'EVO1' + struct.pack('>II', 9, 0) + b'{\"a\":NaN}'",
    ),
    _raw(
        "terminal",
        "gives a reason that would clear a terminal and write a link",
        "frame({'error': '\\x1b[2J\\x1b]8;;http://example.org\\x07\\r\\n\\u202e' * 9})",
        r"^\[2J",
    ),
    _raw(
        "endless_reason",
        "gives a reason of a million letters",
        "frame({'error': 'x' * 10**6})",
        "^x{400}$",
    ),
    _raw("layers_again", "says that it was never confined", "frame({'layers': []})"),
    _raw("wrong_reason", "gives a list as its reason", "frame({'error': [1, 2]})"),
    _raw("empty", "sends a frame that holds nothing", "frame({})"),
    _changed(
        "no_parameters",
        "says that it has no parameters",
        "header['parameters'] = []",
        "is not exported with|malformed",
    ),
    _changed(
        "smaller_parameters",
        "says that its parameters are smaller than they are",
        "header['parameters'] = [[n, [1] * len(s), *r] for n, s, *r in header['parameters']]",
        "is not exported with",
    ),
    _changed(
        "many_parameters",
        "lists a hundred thousand parameters",
        "header['parameters'] = [[f'w{i}', [1], 'float32', None] for i in range(10**5)]",
    ),
    _changed(
        "huge_parameter",
        "says that a parameter is larger than any memory",
        "header['parameters'] = [[n, [1 << 31] * 4, *r] for n, s, *r in header['parameters']]",
        "is not exported with|malformed",
    ),
    _changed(
        "named_with_null",
        "puts null bytes and control sequences into names",
        "header['parameters'] = [['\\0\\x1b[2J' + n, *r] for n, *r in header['parameters']]",
    ),
    _changed(
        "named_without_end",
        "gives a parameter a name of a million letters",
        "header['parameters'] = [['w' * 10**6 + n, *r] for n, *r in header['parameters']]",
    ),
    _changed(
        "named_alike",
        "gives all parameters one name",
        "header['parameters'] = [['w', *r] for n, *r in header['parameters']]",
    ),
    _changed(
        "named_as_markup",
        "puts a script into names, for whoever opens the report",
        "header['parameters'] = [['<script>alert(1)</script>' + n, *r]"
        " for n, *r in header['parameters']]",
        "",
        GRAPH,
    ),
    _changed(
        "wrong_type",
        "says that its parameters are of double precision",
        "header['parameters'] = [[n, s, 'float64', i] for n, s, d, i in header['parameters']]",
    ),
    _changed(
        "wrong_outputs",
        "says that its outputs have another shape",
        "header['outputs'] = [[[1, 1, 1], None] for _ in header['outputs']]",
    ),
    _changed(
        "second_output",
        "says that it has an output that it has not",
        "header['outputs'] = [[node, [4, node[1], node[1], 8]] for node, _ in header['outputs']]",
        "is not exported with",
    ),
    _drawn("nan", "starts training from NaN", "'constant', [float('nan')]", "malformed|float"),
    _drawn("infinity", "starts training from infinity", "'constant', [1e999]", "malformed|float"),
    _drawn("huge", "starts training from numbers near the largest", "'normal', [1e38, 0.0]"),
    _drawn("no_float", "gives a number that is too large to be one", "'constant', [10**999]"),
    _drawn("unknown", "asks for a distribution that has code", "'exec', ['1']"),
    _drawn("too_many", "gives a number too many", "'constant', [0.0, 0.0]"),
    _drawn("exchanged", "draws between bounds that leave nothing", "'uniform', [1.0, -1.0]"),
    _drawn("deep", "gives lists for numbers", "'constant', [[[0.0]]]"),
    _drawn(
        "twice",
        "describes all parameters and sends code for them too",
        "'constant', [0.0]",
    ),
    _changed(
        "drawn_nowhere",
        "neither describes its parameters nor sends code for them",
        "blobs[::2] = [b''] * (len(blobs) // 2)",
    ),
    _changed(
        "drawn_otherwise",
        "describes its parameters otherwise than they are made",
        "header['parameters'] = [[n, s, d, ['uniform', [-1e6, 1e6]]]"
        " for n, s, d, i in header['parameters']]\n"
        "    blobs[::2] = [b''] * (len(blobs) // 2)",
        "",
        GRAPH,
    ),
    _changed("no_sizes", "answers for no size", "header['outputs'], blobs = [], []"),
    _changed(
        "one_size_twice",
        "answers for one size twice",
        "blobs[2:] = blobs[:2]",
        "is not exported with",
    ),
    _changed(
        "swapped",
        "swaps initialiser and function",
        "blobs = blobs[::-1]",
        "is not exported with|no export",
    ),
    _changed(
        "cut_export",
        "cuts its exports",
        "blobs = [b[:len(b) // 2] for b in blobs]",
        "is no export|is not exported|is no StableHLO|crashed",
    ),
    _changed(
        "other_export",
        "sends something else as export",
        "blobs = [b'not an export at all' * 9 for b in blobs]",
        "is no export|is not exported",
    ),
    _changed(
        "large_export",
        "sends more than it may",
        "blobs[0] += bytes(5 << 20)",
        "malformed|larger than",
    ),
    _changed(
        "flipped_bits",
        "damages the module, so that the parser of whoever reads it crashes",
        "r = np.random.RandomState(60)\n"
        "    for number, blob in enumerate(blobs):\n"
        "        blob = bytearray(blob)\n"
        "        for place in r.randint(len(blob) // 2, len(blob) - 600, 40):\n"
        "            blob[place] ^= 1 << r.randint(8)\n"
        "        blobs[number] = bytes(blob)",
        "refused|is no export|is not exported",
    ),
    _exported("devices", "asks for eight devices", "nr_devices=8"),
    _exported("platform", "was exported for another platform", "platforms=('rocm',)"),
    _exported(
        "checks_disabled",
        "switches the checks of whoever loads it off",
        "disabled_safety_checks=(export.DisabledSafetyCheck.custom_call('system'),)",
    ),
    _exported(
        "version",
        "claims an old calling convention",
        "calling_convention_version=export.minimum_supported_calling_convention_version - 1",
    ),
    _exported(
        "no_gradient", "comes without a gradient", "_get_vjp=None", "is not exported with|Error"
    ),
    _exported(
        "kept_arguments",
        "says that it takes other arguments than it does",
        "module_kept_var_idx=()",
        "main has|is not exported",
    ),
    _exported(
        "module",
        "holds a module that is none",
        "mlir_module_serialized=b'ML\\xefR' * 99",
        "is no StableHLO|Error",
    ),
    _module(
        "library_call",
        "calls a function of the machine from its module",
        "insert(text, 'stablehlo.custom_call @system() {has_side_effect = true} : () -> ()\\n')",
        "custom call system is not allowed",
    ),
    _module(
        "device_number",
        "asks which device it runs on",
        "insert(text, '%evil = stablehlo.partition_id : tensor<ui32>\\n' + use('tensor<ui32>'))",
        "operation stablehlo.partition_id is not allowed",
    ),
    _module(
        "token",
        "makes a token, with which it could talk to the host",
        "insert(text, '%evil = stablehlo.create_token : !stablehlo.token\\n'"
        " + use('!stablehlo.token'))",
        "operation stablehlo.create_token is not allowed|of type .* not allowed",
    ),
    _module(
        "outfeed",
        "sends arrays out of the program",
        "insert(text, '%t = stablehlo.create_token : !stablehlo.token\\n'"
        ' \'%o = "stablehlo.outfeed"(%t) {outfeed_config = ""} :'
        " (!stablehlo.token) -> !stablehlo.token\\n')",
        "is not allowed",
    ),
    _module(
        "endless_array",
        "makes an array of four TiB of one number",
        "insert(text, '%evil = stablehlo.constant dense<0.0> : tensor<1099511627776xf32>\\n'"
        " + use('tensor<1099511627776xf32>'))",
        "too large",
    ),
    _module(
        "donation",
        "marks an argument as its to overwrite",
        "text.replace('jax.global_constant = \"_platform_index\"',"
        " 'jax.global_constant = \"_platform_index\", tf.aliasing_output = 0 : i32')",
        "is not allowed|Error",
    ),
    _module(
        "hint",
        "asks the compiler to run a part of it on the host",
        "text.replace('stablehlo.add ', 'stablehlo.add ', 1).replace('module @', 'module @', 1)"
        ".replace('mhlo.num_replicas = 1', 'mhlo.num_replicas = 64')",
        "attribute mhlo.num_replicas is not allowed",
    ),
    _module(
        "many_results",
        "hands two thousand arrays through calls that double seventeen times",
        "insert(text, '%evil:2000 = func.call @f17() : () -> (' + T + ')\\n').replace('\\n} loc(',"
        " '\\n' + ''.join(calls) + '\\n} loc(', 1)\n"
        "T = ', '.join(['tensor<f32>'] * 2000)\n"
        "calls = ['func.func private @f0() -> (' + T + ') {\\n'\n"
        "    '%c = stablehlo.constant dense<1.0> : tensor<f32>\\n'\n"
        "    'return ' + ', '.join(['%c'] * 2000) + ' : ' + T + '\\n}\\n']\n"
        "for i in range(1, 18):\n"
        "    call = f':2000 = func.call @f{i - 1}() : () -> ({T})\\n'\n"
        "    calls.append(f'func.func private @f{i}() -> ({T}) {{\\n%a{call}%b{call}return '\n"
        "        + ', '.join(f'%b#{n}' for n in range(2000)) + f' : {T}\\n}}\\n')",
        "read and make more than",
        "over_budget",
    ),
    _module(
        "recursion",
        "has a function that calls itself",
        "insert(text, 'func.call @evil() : () -> ()\\n').replace('\\n} loc(',"
        " '\\nfunc.func private @evil() { func.call @evil() : () -> () return }\\n} loc(', 1)",
        "nested more than",
        "over_budget",
    ),
    _module(
        "deep_regions",
        "nests branches two thousand deep",
        "insert(text, '%c = stablehlo.constant dense<true> : tensor<i1>\\n'"
        " + '\"stablehlo.if\"(%c) ({\\n' * 2000"
        ' + \'"stablehlo.return"() : () -> ()\\n}, {\\n"stablehlo.return"() : () -> ()\\n})'
        " : (tensor<i1>) -> ()\\n' * 2000)",
        "nested|crashed|Error",
    ),
)
