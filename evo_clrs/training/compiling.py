"""How trainings are compiled."""

from typing import Any

import jax

# A search compiles every program and trains most of them briefly, so that on CPUs the compiler's
# effort is most of what a program costs. LLVM's first level and code without the fusion emitters
# take half the time, and steps are as fast: README.md has the figures.
_ON_CPU: dict[str, str | bool] = {
    "xla_backend_optimization_level": "1",
    "xla_cpu_use_fusion_emitters": False,
}


def compile_lowered(lowered: jax.stages.Lowered) -> Any:
    """Returns a lowered function compiled, on CPUs with less effort than XLA's default."""
    quick = jax.default_backend() == "cpu"
    return lowered.compile(compiler_options=_ON_CPU if quick else None)
