"""What a training under the full protocol runs with: options, versions, device."""

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Mapping
from typing import Any

import jax

from evo_clrs.errors import UserError
from evo_clrs.problems.clrs import options as base
from evo_clrs.problems.clrs.options import UNRELATED
from evo_clrs.problems.clrs.tasks import Protocol

# Of a search only: a training under the full protocol is told its program, tasks and seeds.
SEARCH_ONLY = ("task", "slot", "seeds", "trainings", "seeds_together", "fitness_parameters")

_PACKAGES = {
    "jax": "jax",
    "jaxlib": "jaxlib",
    "haiku": "dm-haiku",
    "optax": "optax",
    "clrs": "dm-clrs",
    "numpy": "numpy",
    "evo_clrs": "evo_clrs",
}


@dataclasses.dataclass(frozen=True)
class Options(base.Options):
    """How a program is trained under the full protocol; the defaults are the published ones.

    Attributes:
      train_steps: steps of each training.
    """

    train_steps: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_steps < self.validate_every:
            raise UserError(
                f"--train_steps={self.train_steps} ends before the first evaluation: give "
                f"--validate_every or more, which is {self.validate_every}"
            )


@dataclasses.dataclass(frozen=True)
class FullProtocol(Protocol):
    """Which data there is under the full protocol.

    Attributes:
      train_count: training samples at each length. The published protocol draws them anew for each
        step, 64,000 at each length in all; far fewer are learnt by heart.
    """

    train_count: int = 20_000


OPTIONS = (Options, FullProtocol)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What trainings run on.

    Attributes:
      device: what the device is called.
      platform: cpu, gpu or tpu.
      versions: package to version.
      xla_flags: the compiler's flags.
      command: the command line.
    """

    device: str
    platform: str
    versions: Mapping[str, str]
    xla_flags: str
    command: str

    @classmethod
    def here(cls, command: str = "") -> "Setting":
        """Returns the setting of this process; opens its device.

        Raises:
          UserError: there is no such device.
        """
        try:
            device = jax.devices()[0]
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:200]
            raise UserError(f"no device to train on ({reason}): give another --platform") from None
        return cls(
            device=device.device_kind,
            platform=device.platform,
            versions={name: importlib.metadata.version(of) for name, of in _PACKAGES.items()},
            xla_flags=os.environ.get("XLA_FLAGS", ""),
            command=command,
        )

    def identity(self, options: Options, protocol: Protocol) -> dict[str, Any]:
        """Returns all that shapes a training but its program and seed, as plain JSON data."""
        return {
            **shaping(all_options(options, protocol)),
            **versions_told(self.versions),
            "device": self.device,
            "platform": self.platform,
            "xla_flags": self.xla_flags,
        }


def all_options(options: Options, protocol: Protocol) -> dict[str, Any]:
    """Returns every option by name, as plain JSON data."""
    return json.loads(json.dumps({**vars(options), **vars(protocol)}))


def shaping(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of all options that shape a result."""
    return {k: v for k, v in options.items() if k not in UNRELATED}


def versions_told(versions: Mapping[str, str]) -> dict[str, str]:
    """Returns versions under names that tell them from options."""
    return {f"version of {name}": version for name, version in versions.items()}


def is_published(options: Options, protocol: Protocol) -> bool:
    """Whether options are those of the published protocol, whatever the task and the slot."""
    published = Options(task=options.task, slot=options.slot)
    return shaping(all_options(options, protocol)) == shaping(
        all_options(published, FullProtocol())
    )
