"""What others reached on the tables, in percent test accuracy, chosen by validation.

Random search and regularised evolution: from the tables themselves, over 400 to 3,000 runs, the
spread is the standard deviation over runs. The rest is as the papers print it: Nasir et al.,
"LLMatic", GECCO 2024, https://arxiv.org/abs/2306.01102; Zheng et al., "Can GPT-4 Perform Neural
Architecture Search?" (GENIUS), https://arxiv.org/abs/2304.10970; Zhou et al., "Design Principle
Transfer in Neural Architecture Search via Large Language Models" (LAPT), AAAI 2025,
https://arxiv.org/abs/2408.11330 (here its control, the histogram rule).
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
      test: mean test accuracy in percent.
      spread: standard deviation over runs; None where none is given.
      runs: how many runs are behind it; None where that is not told.
    """

    test: float
    spread: float | None = None
    runs: int | None = None


# The two controls have 400 to 3,000 runs behind each mean: the most, so the strictest error.
_RUNS = {"random": 3000, "regularized_evolution": 3000}

_Figures = Mapping[str, Mapping[int, tuple[float, float | None]]]

_RANDOM: _Figures = {
    "cifar10": {
        10: (93.02, 0.59),
        20: (93.33, 0.47),
        100: (93.79, 0.27),
        200: (93.89, 0.24),
        1000: (94.07, 0.22),
        2000: (94.12, 0.22),
    },
    "imagenet16-120": {
        10: (43.28, 1.77),
        20: (44.21, 1.27),
        100: (45.37, 0.81),
        200: (45.70, 0.71),
        1000: (46.15, 0.60),
        2000: (46.33, 0.44),
    },
    "nasbench_macro": {10: (92.43, None)},
}
_EVOLUTION: _Figures = {
    "cifar10": {20: (93.36, 0.50), 100: (94.08, 0.28), 200: (94.20, 0.23), 1000: (94.34, 0.13)},
    "imagenet16-120": {
        20: (44.34, 1.38),
        100: (46.02, 0.68),
        200: (46.29, 0.49),
        1000: (46.32, 0.18),
    },
}
_LLMATIC: _Figures = {
    "cifar10": {2000: (94.26, 0.10)},
    "imagenet16-120": {2000: (45.87, 0.96)},
}
_GENIUS: _Figures = {
    "cifar10": {10: (93.79, None)},
    "imagenet16-120": {10: (44.96, None)},
    "nasbench_macro": {10: (93.05, None)},
}
_LAPT: _Figures = {"cifar10": {20: (94.34, 0.08)}}

_FIGURES: Mapping[str, _Figures] = {
    "random": _RANDOM,
    "regularized_evolution": _EVOLUTION,
    "llmatic": _LLMATIC,
    "genius": _GENIUS,
    "lapt": _LAPT,
}


def published(strategy: str, data: str, evaluations: int) -> Published | None:
    """Returns what was published for a strategy on a table after so many evaluations, if any."""
    found = _FIGURES.get(strategy, {}).get(data, {}).get(evaluations)
    return None if found is None else Published(*found, _RUNS.get(strategy))
