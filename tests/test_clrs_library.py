"""clrs is imported without TensorFlow, in fresh interpreters so that no other import is in play."""

import subprocess
import sys

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


def test_an_earlier_import_is_used_as_it_is():
    run(
        BLOCK_TENSORFLOW
        + "import types\nearlier = sys.modules['clrs'] = types.ModuleType('clrs')\n"
        + "from evo_clrs.clrs_library import clrs\nassert clrs is earlier"
    )


def test_tells_what_to_do_about_the_parts_that_need_tensorflow():
    told = run(
        "from evo_clrs.clrs_library import clrs\n"
        "try:\n    clrs.create_dataset('folder', 'bfs', 'test', 1)\n"
        "except AttributeError as error:\n    print(error)"
    )
    assert "import tensorflow, tensorflow_datasets and clrs before evo_clrs" in told
