"""A jail for the tests of this folder."""

import pytest

from evo_clrs.jail.jail import Jail
from evo_clrs.jail.limits import Limits


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits(
        cpu_seconds=10,
        wall_seconds=40,
        memory_bytes=1 << 30,
        processes=24,
        output_bytes=4 << 20,
        open_files=32,
    )


@pytest.fixture(scope="session")
def jail(limits: Limits):
    with Jail(limits) as jail:
        yield jail
