"""Memory that runs out in a training costs one candidate, which is told with the figure."""

from evo_clrs.executors import LocalExecutor, Placement
from evo_clrs.store import Store
from tests.faults.exhausted_worker import kind_of


def test_out_of_memory_rejects_with_the_figure_and_the_search_goes_on(small, tmp_path):
    placement = Placement(workers=1, platform="cpu")
    with LocalExecutor(small.problem, placement, "tests.faults.exhausted_worker") as executor:
        held = small(tmp_path / "run", executor=executor)
    with Store.read(tmp_path / "run") as store:
        trained = [c for c in store.candidates() if c.evaluation.stage in ("scored", "failed")]
    kinds = []
    for candidate in trained:
        evaluation = candidate.evaluation
        kinds.append(kind_of(small.problem.slot.space.read(candidate.source)))
        assert evaluation.scored == (not kinds[-1])
        if kinds[-1] == "numpy":  # 2**45 float64
            assert "Unable to allocate 256. TiB" in evaluation.reason
        if kinds[-1] == "xla":  # 2**45 float32
            assert "RESOURCE_EXHAUSTED" in evaluation.reason
            assert "140737488355328 bytes" in evaluation.reason
    assert set(kinds) == {"", "numpy", "xla"}
    assert held["summary.json"]["counts"]["failed"] >= 2
