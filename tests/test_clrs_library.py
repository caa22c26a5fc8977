"""clrs is imported without TensorFlow, in fresh interpreters so that no other import is in play."""

import json
import subprocess
import sys

import numpy as np

BLOCK_TENSORFLOW = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

SAMPLE_BFS = """
sampler, spec = clrs.build_sampler("bfs", num_samples=3, length=5, seed=1)
feedback = sampler.next()
assert [x.name for x in feedback.features.inputs] == ["pos", "s", "A", "adj"]
assert feedback.outputs[0].data.shape == (3, 5)
"""


def run(script: str) -> str:
    """Runs a script in a fresh interpreter and returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_samples_where_tensorflow_is_not_installed():
    run(BLOCK_TENSORFLOW + "from evo_clrs.clrs_library import clrs\n" + SAMPLE_BFS)


def test_samples_where_tensorflow_is_blocked_by_none():
    run(
        "import sys\nsys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
        "from evo_clrs.clrs_library import clrs\n"
        + SAMPLE_BFS
        + "assert sys.modules['tensorflow'] is None"
    )


def test_missing_tensorflow_still_raises_import_error_afterwards():
    run(
        BLOCK_TENSORFLOW
        + "from evo_clrs.clrs_library import clrs\n"
        + "try:\n    import tensorflow\nexcept ModuleNotFoundError as error:\n"
        + "    assert error.name == 'tensorflow'\nelse:\n    raise SystemExit('met a stand-in')"
    )


def test_leaves_no_stand_in_no_flag_and_no_open_accelerator_behind():
    loaded = run(
        "from absl import flags\n"
        "import jax\n"
        "from evo_clrs.clrs_library import clrs\n"
        "import sys\n"
        "assert 'use_hints' not in flags.FLAGS and 'seeds' not in flags.FLAGS\n"
        "assert not jax._src.xla_bridge._backends\n"
        "print([n for n in sys.modules if n.startswith(('tensorflow', 'clrs._src.clrs_text'))])"
    )
    assert loaded.strip() == "[]"


def test_a_later_import_gets_the_same_module():
    run(
        "from evo_clrs.clrs_library import clrs\n"
        "import clrs as later\n"
        "from clrs._src import probing\n"
        "assert later is clrs and probing.DataPoint is clrs.DataPoint"
    )


def test_an_earlier_import_is_used():
    run(
        BLOCK_TENSORFLOW
        + "import types\n"
        + "tensorflow = sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        + "tensorflow.Tensor = bytes\n"
        + "from evo_clrs.clrs_library import clrs\n"
        + "assert sys.modules['tensorflow'] is tensorflow is clrs._src.probing.tf\n"
        + "del sys.modules['evo_clrs.clrs_library']\n"
        + "earlier = sys.modules['clrs']\n"
        + "from evo_clrs.clrs_library import clrs\nassert clrs is earlier"
    )


def test_convex_hulls_are_sampled_as_the_library_samples_them():
    check = (
        "import numpy as np\n"
        "from evo_clrs.clrs_library import clrs\n"
        "collinear = clrs._src.samplers._is_collinear\n"
        "points = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [2.0, 4.1]])\n"
        "assert collinear(points[0], points[1], points[2], 1e-12)\n"
        "assert not collinear(points[0], points[1], points[3], 1e-12)\n"
        "sampler, _ = clrs.build_sampler('graham_scan', 2, length=4, seed=1)\n"
        "print(sampler.next().features.inputs[1].data.tolist())"
    )
    # Drawn with clrs 2.0.3 as it is, on NumPy 2.4.
    drawn = [
        [-0.6643803403341787, -0.11266272681966602, 0.863157263041471, -0.3796555827609565],
        [-0.7206704158903654, -1.818693263186756, -0.28923273941275673, -0.6483124774959247],
    ]
    np.testing.assert_allclose(json.loads(run(check)), drawn, rtol=1e-12)


def test_tells_what_to_do_about_the_parts_that_need_tensorflow():
    told = run(
        "from evo_clrs.clrs_library import clrs\n"
        "try:\n    clrs.create_dataset('folder', 'bfs', 'test', 1)\n"
        "except AttributeError as error:\n    print(error)"
    )
    assert "import tensorflow, tensorflow_datasets and clrs before evo_clrs" in told
