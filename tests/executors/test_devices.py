"""Which device a worker gets, without opening any."""

import pytest

from evo_clrs.errors import UserError
from evo_clrs.executors import devices


@pytest.fixture
def gpus(monkeypatch):
    """A machine with two GPUs."""
    monkeypatch.setattr(
        devices.glob, "glob", lambda pattern: ["/dev/nvidia0", "/dev/nvidia1"] * ("nv" in pattern)
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def bare(monkeypatch):
    monkeypatch.setattr(devices.glob, "glob", lambda pattern: [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_auto_takes_the_accelerator_there_is(gpus):
    assert devices.platform_of("auto") == "gpu"
    assert devices.default_workers("gpu") == 2


def test_auto_takes_the_cpu_where_there_is_none(bare):
    assert devices.platform_of("auto") == "cpu"


def test_a_platform_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="expected one of auto, cpu, gpu, tpu, got 'cuda'"):
        devices.platform_of("cuda")


def test_each_worker_has_one_gpu_and_preallocates_only_when_alone_on_it(gpus):
    of = [devices.environment("gpu", worker, workers=3) for worker in range(3)]
    assert [e["CUDA_VISIBLE_DEVICES"] for e in of] == ["0", "1", "0"]
    assert [e["XLA_PYTHON_CLIENT_PREALLOCATE"] for e in of] == ["false", "true", "false"]


def test_only_visible_gpus_are_given_out(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert devices.default_workers("gpu") == 1
    assert devices.environment("gpu", 0, 1)["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_cpu_worker_opens_no_accelerator(gpus):
    assert devices.environment("cpu", 0, 2) == {"JAX_PLATFORMS": "cpu"}


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_workers_share_the_cores(monkeypatch, workers):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: {2, 3, 6, 7})
    shares = [devices.cores(worker, workers) for worker in range(workers)]
    assert set().union(*shares) == {2, 3, 6, 7}
    assert all(shares)
    if workers <= 4:
        assert sum(len(share) for share in shares) == 4
