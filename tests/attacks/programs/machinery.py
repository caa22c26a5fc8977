"""Attacks on what runs the guest: Python, jax, haiku, clrs, numpy and our own code."""

from tests.attacks.attack import GRAPH, Attack, at_import, in_call, program

_IMPORT = "may not be imported so|the top level may hold only"
_CALLBACK = "a graph cannot reach out of itself|operation .* is not allowed|custom call .* is not"


def _at_import(name, tries, code, reason="", static=_IMPORT, ends="trace", **more):
    return Attack(name, tries, at_import(code), static, ends, reason, **more)


def _in_call(name, tries, code, reason="", static=None, ends="trace", **more):
    return Attack(name, tries, in_call(code), static, ends, reason, **more)


ATTACKS = (
    _at_import(
        "jax_patched",
        "replaces a function of jax for whoever comes next",
        "jax.nn.relu = lambda x: x * 0",
        static="modules are read-only|top level",
        ends=GRAPH,
    ),
    _at_import(
        "numpy_patched",
        "replaces functions of numpy that a scorer would use",
        "np.mean = np.isfinite = lambda *a, **k: True",
        static="modules are read-only",
        ends=GRAPH,
    ),
    _at_import(
        "haiku_patched",
        "replaces haiku's transformation, so that no parameter shows",
        "import haiku._src.transform as t\n"
        "hk.transform_with_state = lambda f: hk.TransformedWithState(\n"
        "    lambda *a: ({}, {}), lambda p, s, k, *a: ((a[0], None), {}))",
        reason="malformed",
    ),
    _at_import(
        "clrs_patched",
        "replaces the library's evaluation",
        "clrs.evaluate = lambda *a: {'score': 1.0}",
        static="`clrs.evaluate`",
        ends=GRAPH,
    ),
    _at_import(
        "initialiser_patched",
        "replaces what an initialiser of haiku draws, of which only its numbers are told",
        "hk.initializers.TruncatedNormal.__call__ = lambda i, shape, dtype: 1 / jnp.zeros(shape)",
        static="the top level may hold only|modules are read-only|read-only",
        ends=GRAPH,
    ),
    _at_import(
        "initialiser_replaced",
        "has haiku name a class of its own as one of its initialisers",
        "zeros = jnp.zeros\n"
        "class Constant:\n"
        "    constant = 1e30\n"
        "    def __call__(self, shape, dtype=None): return zeros(shape, dtype)\n"
        "hk.initializers.Constant = Constant\n"
        "jnp.zeros = Constant()",
        static="the top level may hold only|modules are read-only|read-only|class",
        ends=GRAPH,
    ),
    _at_import(
        "creator_replaced",
        "replaces haiku's way to have parameters created",
        "import contextlib\nhk.custom_creator = lambda *a, **k: contextlib.nullcontext()",
        static=_IMPORT,
        ends=GRAPH,
    ),
    _at_import(
        "creator_broken",
        "takes haiku's way to have parameters created away",
        "hk.custom_creator = None",
        "TypeError",
        static="is not available|modules are read-only",
    ),
    _in_call(
        "initialiser_derived",
        "derives an initialiser from one of haiku's and draws something else",
        "evil = type('Evil', (hk.initializers.Constant,), {\n"
        "    '__call__': lambda self, shape, dtype: jnp.ones(shape, dtype)})\n"
        "z = z + hk.get_parameter('w', (1,), init=evil(0.0))",
        static=r"`type`",
        ends=GRAPH,
    ),
    _at_import(
        "exporter_patched",
        "replaces the exporter by one that gives nonsense",
        "from jax import export\n"
        "class Nonsense:\n    def serialize(self, **k): return b'nonsense'\n"
        "export.export = lambda *a, **k: lambda *a: Nonsense()",
        "cannot be read|malformed|does not fit|export",
        static="`from ... import`|the top level may hold only",
    ),
    _at_import(
        "tracer_patched",
        "replaces our tracer's checks of outputs",
        "from evo_clrs.jail import trace\n"
        "trace._check_outputs = lambda slot, returned, size: (jnp.zeros((1, 1)), None)",
        "malformed|export|shape",
        static="`from ... import`|the top level may hold only",
    ),
    _at_import(
        "callback_check_patched",
        "calls back to the host, with our check for it replaced",
        "from evo_clrs.jail import jaxprs\njaxprs.called_back = lambda jaxpr: None\n"
        "relu = jax.nn.relu\n"
        "jax.nn.relu = lambda x: jax.pure_callback(np.sin, x, relu(x))",
        f"{_CALLBACK}|callback|Error",
        static="`from ... import`|the top level may hold only",
    ),
    _at_import(
        "frames_patched",
        "replaces the writer of frames",
        "from evo_clrs.jail import frames\nframes.encode = lambda *a: b'EVO1' + bytes(99)",
        "malformed",
        static="`from ... import`|the top level may hold only",
    ),
    _at_import(
        "builtins_patched",
        "replaces builtins that our code calls",
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.len = lambda *a: 1",
        "Error|malformed|crashed|without",
    ),
    _at_import(
        "modules_replaced",
        "puts a module of its own in the place of ours",
        "import sys, types\nsys.modules['evo_clrs.jail.frames'] = types.ModuleType('frames')\n"
        "sys.modules['evo_clrs.gates.static'] = types.ModuleType('static')",
        ends=GRAPH,
    ),
    _at_import(
        "import_hook",
        "hooks imports, to serve its own code for what is imported later",
        "import sys\n"
        "class Hook:\n    def find_spec(self, name, *rest):\n        raise ImportError(name)\n"
        "sys.meta_path.insert(0, Hook())\nsys.path_hooks.clear()\nsys.path.insert(0, '/tmp')",
        ends=GRAPH,
    ),
    _at_import(
        "tracing_our_code",
        "traces our Python code line by line and changes its variables",
        "import sys\n"
        "def spy(frame, event, argument):\n"
        "    if 'evo_clrs' in frame.f_code.co_filename:\n"
        "        frame.f_locals['limit'] = 10**12\n"
        "    return spy\n"
        "sys.settrace(spy)",
        ends=GRAPH,
    ),
    _at_import(
        "frame_walk",
        "walks up the frames of its callers to their variables",
        "import sys\nframe, names = sys._getframe(), []\n"
        "while frame:\n    names += list(frame.f_locals)\n    frame = frame.f_back\n"
        "request = [n for n in names if n in ('control', 'problem', 'labels', 'store', 'key')]\n"
        "raise ValueError(request)",
        "ValueError: ",
    ),
    _at_import(
        "request_stolen",
        "takes the request with the limits from its callers and lifts them",
        "import gc\nfrom evo_clrs.jail.limits import Limits\n"
        "for o in gc.get_objects():\n"
        "    if isinstance(o, Limits):\n"
        "        vars(o).update(cpu_seconds=1e9, output_bytes=1 << 60)\n"
        "while True: pass",
        "took more than",
        endless=True,
    ),
    _at_import(
        "subclasses",
        "finds a way to the system among the subclasses of object",
        "x = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close']\n"
        "x[0].__init__.__globals__['system']('id > /tmp/left-behind')\n"
        "raise ValueError(x[0].__init__.__globals__['listdir']('/')[99])",
        "IndexError|Error",
        static="the top level may hold only",
    ),
    _in_call(
        "globals_of_a_function",
        "reaches builtins through the globals of a library function",
        "f = hk.Linear.__init__.__globals__['__builtins__']['open']\n"
        "z = z + len(f('/etc/passwd').read())",
        "FileNotFoundError|PermissionError",
        "`__globals__`",
    ),
    _in_call(
        "format_text",
        "reads attributes by a format text",
        "x = '{0.__class__.__init__.__globals__}'.format(self)\nraise ValueError(len(x))",
        "ValueError: |Error",
        "attribute `format`",
    ),
    _at_import(
        "pickle",
        "runs a command by unpickling",
        "import pickle\n"
        "x = pickle.loads(b\"cposix\\nsystem\\n(S'id > /tmp/left-behind'\\ntR.\")\n"
        "raise ValueError(x)",
        "ValueError: ",
    ),
    _at_import(
        "pickle_in_a_property",
        "answers a property with an object that unpickling would run",
        "class Bomb:\n    def __reduce__(self): return print, ('boom',)\n"
        "clrs.processors.Processor.inf_bias = Bomb()",
        "property inf_bias is Bomb",
        static="builtin `print`",
    ),
    _at_import(
        "ctypes_frames",
        "calls the interpreter's own functions through ctypes",
        "import ctypes\nctypes.pythonapi.PyRun_SimpleString(b'import os; os._exit(5)')",
        "exit code 5",
    ),
    _at_import(
        "ctypes_rewrite",
        "writes over an integer of the interpreter",
        "import ctypes\nctypes.memset(id(1) + 24, 7, 4)",
        "",
    ),
    _at_import(
        "machine_code",
        "writes machine code into memory and runs it",
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=7)\npage.write(b'\\x0f\\x0b')\n"
        "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()",
        "crashed the interpreter",
    ),
    _in_call(
        "host_callback",
        "calls back to the host from the graph",
        "z = jax.pure_callback(np.sin, z, z)",
        "a graph cannot reach out of itself",
        "`jax.pure_callback`",
    ),
    _in_call(
        "host_callback_in_gradient",
        "calls back to the host from the gradient only",
        "f = jax.custom_vjp(lambda x: x)\n"
        "f.defvjp(lambda x: (x, x), lambda x, g: (jax.pure_callback(np.sin, g, g),))\nz = f(z)",
        f"{_CALLBACK}|NotImplementedError",
        "`jax.custom_vjp`",
    ),
    _in_call(
        "host_callback_in_initialiser",
        "calls back to the host when parameters are drawn",
        "call = lambda shape, dtype: jax.pure_callback(\n"
        "    lambda: np.zeros(shape, dtype), jax.ShapeDtypeStruct(shape, dtype))\n"
        "z = z + hk.get_parameter('w', (self.out_size,), init=call)",
        "a graph cannot reach out of itself",
        "is not available",
    ),
    _in_call(
        "print_from_the_graph",
        "prints at every step",
        "jax.debug.print('{}', z)",
        "a graph cannot reach out of itself",
        "`jax.debug.print`",
    ),
    _in_call(
        "foreign_function",
        "calls a library function that the runtime may have registered",
        "z = jax.ffi.ffi_call('xla_ffi_python_cpu_callback', z)(z)",
        "custom call .* is not allowed|Error",
        "`jax.ffi.ffi_call`",
    ),
    _in_call(
        "own_primitive",
        "lowers a primitive of its own to a library call",
        "from jax.interpreters import mlir, batching, ad\n"
        "from jax.extend.core import Primitive\n"
        "p = Primitive('innocent')\np.def_abstract_eval(lambda x: x)\n"
        "def lower(c, x):\n"
        "    return mlir.custom_call('system', result_types=[x.type], operands=[x]).results\n"
        "mlir.register_lowering(p, lower)\nz = p.bind(jax.lax.stop_gradient(z))",
        "custom call system is not allowed|Error",
        "`from ... import`",
    ),
    _in_call(
        "collective",
        "talks to other devices",
        "z = jax.vmap(lambda x: jax.lax.psum(x, 'i'), axis_name='i')(z)\n"
        "z = z + jax.lax.axis_index('j')",
        "NameError",
        "`jax.lax.axis_index`",
    ),
    _in_call(
        "switches",
        "switches jax to double precision and other settings, for whoever comes next",
        "jax.config.update('jax_enable_x64', True)\njax.config.update('jax_disable_jit', True)",
        "not tensor<i32>",
        "`jax.config.update`",
        "trace",
    ),
    Attack(
        "metaclass",
        "runs code when the slot's class is made, by a metaclass and by hooks of classes",
        program(
            "class Base:\n"
            "    def __init_subclass__(cls, **k):\n"
            "        import os\n        os.listdir('/etc')\n"
            "    def __class_getitem__(cls, item):\n        return item\n"
            "class Child(Base): pass"
        ),
        "import",
        "trace",
        "FileNotFoundError|PermissionError",
    ),
    Attack(
        "descriptor",
        "runs code when an attribute is looked up, by a descriptor",
        program(
            "class Descriptor:\n"
            "    def __get__(self, instance, owner):\n"
            "        return open('/etc/passwd').read()\n"
            "class Holder:\n    secret = Descriptor()\n",
            "x = Holder().secret",
        ),
        "builtin `open`",
        "trace",
        "FileNotFoundError|PermissionError",
    ),
    _in_call(
        "walrus_default",
        "hides a builtin in a lambda's default and a named expression",
        "f = lambda g=(h := eval): g('open(\"/etc/passwd\").read()')\nx = f()",
        "FileNotFoundError|PermissionError",
        "builtin `eval`",
    ),
    _in_call(
        "match_by_class",
        "reads attributes by matching a pattern",
        "match self:\n    case hk.Module(__init__=found):\n"
        "        raise ValueError(type(found).__name__)",
        "ValueError: method",
        "`match` is not allowed",
    ),
    _at_import(
        "decorator",
        "has a decorator run its code",
        "@exec\ndef f(): pass",
        "TypeError",
        static="builtin `exec`",
    ),
)
