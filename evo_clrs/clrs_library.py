"""The `clrs` package, imported without TensorFlow: `from evo_clrs.clrs_library import clrs`.

clrs imports TensorFlow at its top level, but only to read its released archives and to write its
text version. The samplers, specifications, losses and models that are used here need none of it.
So clrs is imported with stand-in modules for TensorFlow, its data sets and the text version (which
would also add flags of its own to every command line), whether TensorFlow is installed or not.
The stand-ins are gone from `sys.modules` afterwards: whoever imports TensorFlow later meets the
real one, or the usual ImportError. Whoever imports clrs later gets this same module.

What was really imported before is used: clrs itself, or TensorFlow within it.
"""

import dataclasses
import importlib
import sys
import types
from typing import Any

# Imported before clrs, so that none of them meets a stand-in.
_DEPENDENCIES = ("jax", "haiku", "optax", "chex")

_TENSORFLOW = "tensorflow"
_DATA_SETS = "tensorflow_datasets"
_TEXT = "clrs._src.clrs_text"
_SAMPLERS = "clrs._src.samplers"


class _StandIn(types.ModuleType):
    """A module that holds what clrs touches while it is imported, and nothing else."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"clrs was imported without {self.__name__}, so {name} is missing: "
            f"import {_TENSORFLOW}, {_DATA_SETS} and clrs before evo_clrs to have it"
        )


class _Tensor:
    """Stands for `tf.Tensor`, which clrs looks for in its data points; nothing is one."""


@dataclasses.dataclass
class _BuilderConfig:
    """Stands for `tfds.core.BuilderConfig`, which clrs extends and fills for every split."""

    name: str = ""


class _DatasetBuilder:
    """Stands for `tfds.core.GeneratorBasedBuilder`, which clrs extends."""


def _stand_ins() -> dict[str, types.ModuleType]:
    tensorflow = _StandIn(_TENSORFLOW)
    vars(tensorflow).update(Tensor=_Tensor)
    core = types.SimpleNamespace(
        BuilderConfig=_BuilderConfig,
        GeneratorBasedBuilder=_DatasetBuilder,
        Version=str,
        DatasetInfo=object,
    )
    download = types.SimpleNamespace(DownloadManager=object)
    data_sets = _StandIn(_DATA_SETS)
    vars(data_sets).update(core=core, download=download)
    return {_TENSORFLOW: tensorflow, _DATA_SETS: data_sets, _TEXT: _StandIn(_TEXT)}


def _is_collinear(point_1: Any, point_2: Any, point_3: Any, eps: float) -> bool:
    """Whether three points, float [2] each, lie on a line, give or take `eps`.

    Stands for the function of this name in clrs 2.0.3, whose `np.cross` of two dimensions is gone
    from NumPy 2.5. The same operations on the same numbers, so the samples stay the same. Convex
    hulls of 64 points, 41,664 calls each, are drawn in 0.01 s instead of 0.4 s.
    """
    (x_1, y_1), (x_2, y_2), (x_3, y_3) = point_1.tolist(), point_2.tolist(), point_3.tolist()
    return abs((x_2 - x_1) * (y_3 - y_1) - (y_2 - y_1) * (x_3 - x_1)) < eps


def _import_clrs() -> Any:
    """Returns clrs as somebody imported it before, else imported with the stand-ins."""
    if "clrs" not in sys.modules:
        for name in _DEPENDENCIES:
            importlib.import_module(name)
        missing = {
            name: module for name, module in _stand_ins().items() if not sys.modules.get(name)
        }
        blocked = {name: sys.modules[name] for name in missing if name in sys.modules}
        sys.modules.update(missing)
        try:
            importlib.import_module("clrs")
        finally:
            for name in missing:
                del sys.modules[name]
            sys.modules.update(blocked)
    vars(importlib.import_module(_SAMPLERS)).update(_is_collinear=_is_collinear)
    return importlib.import_module("clrs")


clrs = _import_clrs()
