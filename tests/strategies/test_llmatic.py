"""LLMatic against the paper: archives, curiosity, temperatures, operators."""

import collections
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from evo_clrs.errors import UserError
from evo_clrs.proposers.grammar import designs
from evo_clrs.proposers.grammar.by_slot import GRAMMARS
from evo_clrs.randomness import generator
from evo_clrs.records import Candidate, Evaluation, Request
from evo_clrs.strategies.base import Steady
from evo_clrs.strategies.llmatic import INSTRUCTIONS, LLMatic, Options, Prompt


def network(
    index: int, accuracy: float, flops: float = 1e6, ratio: float = 2.0, **metrics: float
) -> Candidate:
    told = {
        "num_params": 1000.0,
        "val_accuracy": accuracy,
        "val_error": 1 - accuracy,
        "fitness": accuracy,
        "flops": flops,
        "width_to_depth": ratio,
    }
    evaluation = Evaluation("scored", "scored", metrics=told | metrics)
    return Candidate(index, f"p{index}", f"x = {index}\n", evaluation=evaluation)


def broken(index: int) -> Candidate:
    return Candidate(index, "", "x =", evaluation=Evaluation("rejected", "static", "no"))


def answer(request: Request, child: Candidate, sample: int = 0) -> Candidate:
    return dataclasses.replace(child, request=request.index, sample=sample)


def one_at_a_time(**options: Any) -> LLMatic:
    """A search that mutates the only network by its most curious prompt, one request a round."""
    values: dict[str, Any] = {
        "rounds": 10,
        "prompts_per_round": 1,
        "random_networks": 1,
        "curious_prompts": 1,
        "mutation": 1.0,
        # Far enough from each other for two niches of prompts.
        "temperature_step": 0.3,
        "start_temperature": 0.5,
        "lowest_temperature": 0.1,
        "highest_temperature": 1.0,
    }
    strategy = LLMatic(Options(**(values | options)), seed=0)
    strategy.tell([network(0, 0.5)])
    return strategy


def after(strategy: LLMatic, child: Candidate) -> Request:
    """Asks for the next round, tells this child, and returns the request."""
    (request,) = strategy.ask()
    strategy.tell([answer(request, child)])
    return request


def prompt_of(request: Request) -> Prompt:
    (number,) = [i for i, told in enumerate(INSTRUCTIONS) if told.text == request.instruction]
    return Prompt(number, request.temperatures[0])


def toy(index: int, request: Request | None = None, sample: int = 0) -> Candidate:
    """A network whose score and descriptors are drawn from its index; one in ten is broken."""
    draw = generator(0, "toy", index)
    child = network(index, draw.random(), 10 ** (4 + 5 * draw.random()), 10 ** draw.random())
    if request is None:
        return child
    return answer(request, broken(index) if index % 10 == 0 else child, sample)


def search(strategy: LLMatic, seeds: int = 4) -> list[Request]:
    strategy.tell([toy(index) for index in range(seeds)])
    asked: list[Request] = []
    index = seeds
    while requests := strategy.ask():
        places = [(request, s) for request in requests for s in range(request.samples)]
        strategy.tell([toy(index + n, *place) for n, place in enumerate(places)])
        index += len(places)
        asked += requests
    return asked


def test_the_defaults_are_those_of_the_paper():
    options = Options()
    assert (options.rounds, options.prompts_per_round, options.samples_per_prompt) == (20, 100, 1)
    assert options.children == LLMatic(options, 0).children == 2000
    assert (options.niches, options.random_networks, options.mutation) == (100, 10, 0.7)
    assert (options.temperature_step, options.archive_fitness) == (0.05, "val_accuracy")


def test_there_are_16_instructions_of_one_line_each():
    texts = [instruction.text for instruction in INSTRUCTIONS]
    assert len(set(texts)) == 16
    assert all(text.endswith(".") and "\n" not in text for text in texts)


def test_all_but_the_plain_instruction_mean_something_to_every_grammar():
    known = {slot: set(grammar.edits) for slot, grammar in GRAMMARS.items()}
    known["designs"] = set(designs.KINDS)
    for instruction in INSTRUCTIONS:
        assert set(instruction.kinds) <= set().union(*known.values(), ADDED_BY_NETWORKS)
        if instruction.text != "Make the network better.":
            assert all(set(instruction.kinds) & kinds for kinds in known.values())


# Kinds of edits that only slots with convolutions have.
ADDED_BY_NETWORKS = {"convolution", "kernel", "pooling", "recurrence"}


def test_a_search_of_2000_is_quick_and_fills_most_niches():
    strategy = LLMatic(Options(), seed=0)
    started = time.process_time()
    asked = search(strategy)
    assert time.process_time() - started < 5
    assert len(asked) == 2000 and strategy.finished
    filled, niches = strategy.coverage()
    assert filled == len(strategy.population()) > 95 and niches == 100


def test_random_phase_then_mutations_and_crossovers_in_the_papers_shares():
    asked = search(LLMatic(Options(), seed=0))
    assert {request.operation for request in asked[:100]} == {"random"}
    assert all(request.parents[0].program in {"p0", "p1", "p2", "p3"} for request in asked[:100])
    assert {request.temperatures for request in asked[:100]} == {(0.6,)}
    drawn = collections.Counter(request.operation for request in asked[100:])
    assert set(drawn) == {"mutate", "crossover"}
    # The standard deviation of 1,900 draws is 20.
    assert drawn["mutate"] == pytest.approx(0.7 * 1900, abs=100)
    for request in asked[100:]:
        crossed = request.operation == "crossover"
        assert len({parent.program for parent in request.parents}) == (2 if crossed else 1)
        assert (request.kinds == ("crossover",)) == crossed


def test_the_random_phase_lasts_until_enough_networks_are_in_the_archive():
    strategy = one_at_a_time(random_networks=3)
    assert after(strategy, network(1, 0.5)).operation == "random"  # in the niche of the seed
    assert after(strategy, broken(2)).operation == "random"
    assert after(strategy, network(3, 0.5, flops=1e9, ratio=9.0)).operation == "random"
    assert after(strategy, network(4, 0.5, flops=1e3, ratio=0.1)).operation == "random"
    assert after(strategy, network(5, 0.5)).operation == "mutate"


def test_without_seeds_random_designs_are_asked_for():
    strategy = LLMatic(Options(prompts_per_round=5), seed=0)
    strategy.tell([])
    assert {(r.operation, r.parents) for r in strategy.ask()} == {("random", ())}


def test_curiosity_and_temperature_by_hand():
    strategy = one_at_a_time()
    assert strategy.prompts() == {}
    # Better than the seed, in its niche: it enters, 0.5 becomes 0.8, and curiosity is 1.
    first = prompt_of(after(strategy, network(1, 0.6)))
    assert first.temperature == 0.5
    raised = Prompt(first.instruction, 0.8)
    assert strategy.prompts() == {raised: 1.0}
    # Worse: it does not enter, 1 - 0.5, back at 0.5 where curiosity was 1.
    assert prompt_of(after(strategy, network(2, 0.55))) == raised
    assert strategy.prompts() == {first: 1.0, raised: 0.5}
    # Not trainable: 1 - 1, 0.5 becomes 0.2 and is new there.
    assert prompt_of(after(strategy, broken(3))) == first
    lowered = Prompt(first.instruction, 0.2)
    assert strategy.prompts() == {raised: 0.5, first: 0.0, lowered: 0.0}
    # Entering again: 0.8 becomes 1.1, which is over the bound of 1.
    assert prompt_of(after(strategy, network(4, 0.7))) == raised
    assert strategy.prompts()[Prompt(first.instruction, 1.0)] == 1.5


def test_temperatures_stay_within_their_bounds_and_move_by_a_twentieth():
    asked = search(LLMatic(Options(lowest_temperature=0.5, highest_temperature=0.75), seed=0))
    used = {request.temperatures[0] for request in asked}
    assert used == {0.5, 0.55, 0.6, 0.65, 0.7, 0.75}


def test_success_may_mean_a_child_better_than_its_parent():
    elsewhere = network(1, 0.4, flops=1e9, ratio=9.0)  # a niche of its own, but worse
    entered, improved = one_at_a_time(), one_at_a_time(success="improved")
    for strategy, temperature in ((entered, 0.8), (improved, 0.2)):
        after(strategy, elsewhere)
        ((prompt, curiosity),) = strategy.prompts().items()
        assert (prompt.temperature, curiosity) == (temperature, 1.0)


def test_parents_may_be_the_best_of_the_archive_only():
    strategy = LLMatic(Options(parent_elites=3, random_networks=2), seed=0)
    strategy.tell([toy(index) for index in range(40)])
    best = sorted(strategy.population(), key=lambda c: -c.evaluation.metrics["val_accuracy"])[:3]
    shown = {parent.program for request in strategy.ask() for parent in request.parents}
    assert shown == {candidate.program for candidate in best}


def test_an_instruction_for_small_networks_asks_for_few_parameters():
    strategy = LLMatic(Options(random_networks=100), seed=0)
    strategy.tell([network(0, 0.5)])
    asked = {request.instruction: request.targets["num_params"] for request in strategy.ask()}
    assert asked["Make the network better, and much smaller."] == 500
    assert asked["Make the network better, and much larger."] == 2000
    assert asked["Make the network better."] == 1000


@pytest.mark.parametrize("fitness, kept", [("val_accuracy", "p1"), ("fitness", "p0")])
def test_networks_of_one_niche_compete_by_accuracy_or_fitness(fitness, kept):
    strategy = LLMatic(Options(archive_fitness=fitness), seed=0)
    strategy.tell([network(0, 0.5, fitness=-10.0), network(1, 0.6, fitness=-20.0)])
    assert [candidate.program for candidate in strategy.population()] == [kept]
    assert strategy.best()[0].program == "p0"  # the search's own answer goes by fitness


@pytest.mark.parametrize(
    "measured, chosen",
    [
        ({"flops": 1e6, "width_to_depth": 2.0, "live_params": 9.0}, ("width_to_depth", "flops")),
        ({"flops": 1e6, "live_params": 9.0}, ("live_params", "flops")),
        ({"flops": 1e6}, ("num_params", "flops")),
    ],
)
def test_descriptors_are_the_papers_where_the_problem_measures_them(measured, chosen):
    basic = {"num_params": 100.0, "val_accuracy": 0.5, "val_error": 0.5, "fitness": 0.5}
    evaluation = Evaluation("scored", "scored", metrics=basic | measured)
    strategy = LLMatic(Options(), seed=0)
    strategy.tell([Candidate(0, "p0", "x = 0\n", evaluation=evaluation)])
    assert strategy.descriptors == chosen


def test_a_descriptor_that_the_problem_does_not_measure_is_an_error():
    strategy = LLMatic(Options(descriptors=("depth", "flops")), seed=0)
    with pytest.raises(
        UserError, match="no metric 'depth' on this problem: choose from fitness, flops"
    ):
        strategy.tell([network(0, 0.5)])
    strategy = LLMatic(Options(descriptors=("flops",)), seed=0)
    with pytest.raises(UserError, match="--descriptors: flops is not known"):
        strategy.tell([network(0, 0.5, flops=float("nan"))])


def test_descriptors_may_be_one_or_three():
    for names in (("flops",), ("flops", "num_params", "width_to_depth")):
        strategy = LLMatic(Options(descriptors=names, rounds=3), seed=0)
        search(strategy)
        assert strategy.coverage()[0] > 20


def test_in_the_steady_schedule_requests_overlap():
    strategy = LLMatic(Options(rounds=4, prompts_per_round=10), seed=0)
    assert isinstance(strategy, Steady)
    strategy.tell([toy(index) for index in range(4)])
    waiting: collections.deque[Request] = collections.deque()
    told = []
    while (request := strategy.ask_one()) is not None or waiting:
        if request is not None:
            waiting.append(request)
        if len(waiting) == 4 or request is None:
            told.append(waiting.popleft())
            strategy.tell_one([toy(3 + len(told), told[-1])])
    assert [request.index for request in told] == list(range(40)) and strategy.finished
    assert {request.operation for request in told} == {"random", "mutate", "crossover"}
    assert strategy.coverage()[0] > 20


@pytest.mark.parametrize(
    "options, message",
    [
        ({"niches": 0}, "--niches must be 1 or more"),
        ({"curious_prompts": 0}, "--curious_prompts must be 1 or more"),
        ({"parent_elites": -1}, "--parent_elites must be 0 or more"),
        ({"random_networks": 101}, "--random_networks must be from 1 to the 100 of --niches"),
        ({"mutation": 1.1}, "--mutation must be from 0 to 1"),
        ({"temperature_step": -0.1}, "--temperature_step must be 0 or more"),
        ({"start_temperature": 1.1}, "--start_temperature .* must be above zero and rise"),
        ({"lowest_temperature": 0.0}, "--lowest_temperature, .* must be above zero and rise"),
        ({"scaling": "none"}, "--scaling must be residual or rank or log, got 'none'"),
        ({"archive_fitness": "loss"}, "--archive_fitness must be val_accuracy or fitness"),
        ({"success": "luck"}, "--success must be entered or improved"),
        ({"rounds": 0}, "--rounds must be 1 or more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(UserError, match=message):
        Options(**options)


PRESET = Path(__file__).parents[2] / "launch" / "presets" / "llmatic_nasbench201.flags"


def test_the_preset_names_the_papers_options_with_their_defaults():
    lines = [line for line in PRESET.read_text().splitlines() if line.startswith("--")]
    found = dict(line[2:].partition("=")[::2] for line in lines)
    assert (found["problem"], found["strategy"], found["seeds"]) == (
        "nasbench201",
        "llmatic",
        "none",
    )
    for field in dataclasses.fields(Options):
        default = getattr(Options(), field.name)
        entries = default if isinstance(default, tuple) else (default,)
        if field.name != "descriptors":
            assert found[field.name] == ",".join(map(str, entries))
