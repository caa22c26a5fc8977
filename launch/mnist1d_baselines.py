"""Trains the networks of MNIST-1D's authors as they do, and shows both accuracies.

  python -m launch.mnist1d_baselines --seeds=3 --out=FILE

All 4,000 training signals, Adam 0.01, batch 100, 6,000 steps; accuracy on the 1,000 test signals
after the last step. Each reading of test data is in FILE. Some minutes on 2 cores.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import flags

from evo_clrs.errors import UserError
from evo_clrs.jail.jail import Jail
from evo_clrs.problems.mnist1d import baselines
from launch import cli

SEEDS = flags.DEFINE_integer("seeds", 3, "Trainings of each network.")
STEPS = flags.DEFINE_integer("train_steps", baselines.TRAINING.steps, "Steps of each training.")
NETWORKS = flags.DEFINE_list("networks", list(baselines.PUBLISHED), "Which networks to train.")
OUT = flags.DEFINE_string("out", "", "JSON file for the results.")


def main(arguments: Sequence[str]) -> None:
    """Trains what the flags name, prints a line for each network, and writes the file."""
    cli.expect_no_arguments(arguments)
    unknown = [name for name in NETWORKS.value if name not in baselines.PUBLISHED]
    if not OUT.value or SEEDS.value < 1 or STEPS.value < 1 or unknown:
        names = ", ".join(baselines.PUBLISHED)
        raise flags.Error(
            f"give --out=FILE, --seeds and --train_steps of 1 or more, --networks of: {names}"
        )
    if not Path(OUT.value).absolute().parent.is_dir():
        raise UserError(f"--out={OUT.value}: there is no such folder, make it first")
    training = dataclasses.replace(baselines.TRAINING, steps=STEPS.value)
    results, readings = [], []
    print(f"{'network':8s} {'parameters':>10s} {'accuracy':>9s} {'published':>9s}  each seed")
    with Jail() as jail:
        for name in NETWORKS.value:

            def record(count: int, name: str = name) -> None:
                readings.append({"network": name, "split": "test", "signals": count})

            result = baselines.reproduce(name, SEEDS.value, jail, record, training)
            published = baselines.PUBLISHED[name]
            results.append(
                {**dataclasses.asdict(result), "mean": result.mean, "published": published}
            )
            each = " ".join(f"{accuracy:.1f}" for accuracy in result.accuracies)
            print(
                f"{name:8s} {result.parameters:10,d} {result.mean:9.1f} {published:9.1f}  {each}",
                flush=True,
            )
    written = {
        "training": {
            "optimizer": training.optimizer,
            "learning_rate": training.learning_rate,
            "batch_size": training.batch_size,
            "steps": training.steps,
        },
        "seeds": list(range(SEEDS.value)),
        "jax": jax.__version__,
        "platform": jax.default_backend(),
        "results": results,
        "test_readings": readings,
    }
    Path(OUT.value).write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    cli.run_main(main, ("seeds", "out"))
