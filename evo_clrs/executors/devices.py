"""Which device each worker gets, found without opening any."""

import glob
import os
from collections.abc import Mapping

from evo_clrs.errors import UserError

PLATFORMS = ("auto", "cpu", "gpu", "tpu")


def platform_of(choice: str) -> str:
    """Returns `cpu`, `gpu` or `tpu`; `auto` takes an accelerator where there is one.

    Raises:
      UserError: the choice is not one of `PLATFORMS`.
    """
    if choice not in PLATFORMS:
        raise UserError(f"platform: expected one of {', '.join(PLATFORMS)}, got {choice!r}")
    if choice != "auto":
        return choice
    if _gpus():
        return "gpu"
    return "tpu" if glob.glob("/dev/accel[0-9]*") else "cpu"


def default_workers(platform: str) -> int:
    """Returns one worker for each device, on a CPU one for each core."""
    return {"gpu": len(_gpus()) or 1, "tpu": 1, "cpu": len(os.sched_getaffinity(0))}[platform]


def environment(platform: str, worker: int, workers: int) -> Mapping[str, str]:
    """Returns the variables that give a worker its one device, before JAX starts there.

    Memory is preallocated only by a worker that is alone on its device.
    """
    if platform == "cpu":
        return {"JAX_PLATFORMS": "cpu"}
    if platform == "tpu":
        return {"JAX_PLATFORMS": "tpu"}
    devices = _gpus()
    device = worker % max(1, len(devices))
    sharing = len(range(device, workers, max(1, len(devices))))
    return {
        "JAX_PLATFORMS": "cuda",
        "CUDA_VISIBLE_DEVICES": devices[device] if devices else "0",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "true" if sharing == 1 else "false",
    }


def cores(worker: int, workers: int) -> set[int]:
    """Returns the cores of a worker: an equal share, so that workers do not crowd each other."""
    ours = sorted(os.sched_getaffinity(0))
    if workers >= len(ours):
        return {ours[worker % len(ours)]}
    return set(ours[worker::workers])


def _gpus() -> list[str]:
    """Returns the indices of the GPUs this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    return [str(index) for index, _ in enumerate(sorted(glob.glob("/dev/nvidia[0-9]*")))]
