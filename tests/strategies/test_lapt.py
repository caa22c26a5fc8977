"""LAPT: what it is taught narrows the search, and is looked at again on the way."""

from collections.abc import Sequence
from typing import Any

import pytest

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Evaluation, Parent, Request
from evo_clrs.spaces import CELL, Choices, identity
from evo_clrs.strategies.base import Learner
from evo_clrs.strategies.lapt import Lapt, Options

# A source whose designs agree but for two places: 10 of 15 have a 3x3 convolution at the first.
SOURCE = [(3, 2, 3, 1, 3, 3)] * 9 + [(3, 1, 3, 1, 3, 3)] + [(2, 1, 3, 1, 3, 3)] * 5
WORDS = """\
Convolutions carry the accuracy; a skip connection beside them helps.

edge 0 to 1: nor_conv_3x3
edge 0 to 2: nor_conv_1x1, skip_connect
edge 1 to 2: nor_conv_3x3
edge 0 to 3: skip_connect
edge 1 to 3: nor_conv_3x3
edge 2 to 3: nor_conv_3x3"""
BY_WORDS = (
    ("nor_conv_3x3",),
    ("skip_connect", "nor_conv_1x1"),
    ("nor_conv_3x3",),
    ("skip_connect",),
    ("nor_conv_3x3",),
    ("nor_conv_3x3",),
)


def taught(source: Sequence[Choices] = SOURCE, seed: int = 0, **options: Any) -> Lapt:
    """Returns a strategy that was taught and told that there are no seeds."""
    lapt = Lapt(Options(**{"source": "table.json", **options}), seed)
    lapt.teach([Parent("", CELL.write(choices), {"val_accuracy": 0.7}) for choices in source])
    lapt.tell([])
    return lapt


def child(request: Request, accuracy: float | None, choices: Choices | None = None) -> Candidate:
    """Returns the answer to a request, rejected where there is no accuracy."""
    choices = choices or tuple(request.index // 5**place % 5 for place in range(6))
    evaluation = Evaluation("rejected", "failed", "not in the table")
    if accuracy is not None:
        metrics = {"num_params": 10, "val_accuracy": accuracy, "fitness": accuracy}
        evaluation = Evaluation("scored", "scored", metrics=metrics)
    return Candidate(
        index=request.index,
        program=identity(CELL, choices),
        source=CELL.write(choices),
        request=request.index,
        evaluation=evaluation,
    )


def go_on(lapt: Lapt, accuracies: Sequence[float | None], reply: str = "") -> list[Request]:
    """Tells these accuracies one after another; returns all requests that were asked on the way."""
    asked = []
    for accuracy in accuracies:
        (request,) = lapt.ask()
        asked.append(request)
        if request.operation == "principles":
            lapt.learn([reply] * request.samples)
            (request,) = lapt.ask()
            asked.append(request)
        lapt.tell([child(request, accuracy)])
    return asked


def shown(request: Request) -> list[float]:
    return [parent.metrics["val_accuracy"] for parent in request.parents]


def test_words_are_asked_for_first_from_the_designs_of_the_source():
    lapt = taught(source_top=15)
    assert isinstance(lapt, Learner)
    assert (lapt.source, lapt.source_top, lapt.principles) == ("table.json", 15, "")
    (request,) = lapt.ask()
    assert request.operation == "principles"
    assert [CELL.read(parent.source) for parent in request.parents] == SOURCE
    assert "Keep at most 2 options at each place." in request.instruction
    assert request.temperatures == (0.0,)


def test_the_search_stays_within_the_words():
    lapt = taught()
    asked = go_on(lapt, [0.5] * 9, WORDS)
    assert {request.allowed for request in asked[1:]} == {BY_WORDS}
    assert lapt.principles.startswith("Convolutions carry the accuracy;")
    assert "kept by the words above" in lapt.principles
    assert lapt.principles.endswith("edge 2 to 3: nor_conv_3x3")


def test_a_population_at_random_then_mutations_of_winners_among_the_last_five():
    lapt = taught()
    accuracies = [0.1, None, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    asked = go_on(lapt, accuracies, WORDS)[1:]
    assert [request.operation for request in asked] == ["random"] * 6 + ["mutate"] * 3
    for position, request in enumerate(asked[6:], start=6):
        alive = [accuracy for accuracy in accuracies[:position] if accuracy][-5:]
        (parent,) = shown(request)
        assert parent in sorted(alive)[1:]  # two different ones are drawn: never the worst
    assert [c.evaluation.metrics["fitness"] for c in lapt.population() if c.evaluation] == (
        accuracies[-5:]
    )


def test_tournaments_are_drawn_by_the_seed():
    def parents(seed: int) -> list[Request]:
        return go_on(taught(seed=seed), [n / 100 for n in range(20)], WORDS)

    assert parents(1) == parents(1)
    assert parents(1) != parents(2)


def test_without_words_the_histogram_rule_says_what_to_keep():
    lapt = taught()
    asked = go_on(lapt, [0.5])
    assert asked[1].allowed == (("nor_conv_3x3",), ("nor_conv_1x1",), *BY_WORDS[2:])
    assert "No words of a language model were used: the reply is empty." in lapt.principles
    assert "by the histogram: what at least 10 of 15 designs have" in lapt.principles


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (WORDS.replace("skip_connect\nedge 1", "conv_7x7\nedge 1"), "no option conv_7x7"),
        (WORDS.replace("1x1, ", "1x1, none, "), "3 options of at most 2 at edge 0 to 2"),
        ("I would use convolutions.", "it has no line `edge 0 to 1: OPTION, OPTION`"),
    ],
    ids=["unknown", "many", "prose"],
)
def test_an_unusable_reply_is_recorded_with_the_reason_or_an_error(reply, reason):
    lapt = taught()
    lapt.ask()
    lapt.learn([reply])
    assert reason in lapt.principles and "by the histogram" in lapt.principles
    strict = taught(principles="words")
    strict.ask()
    with pytest.raises(UserError, match=f"{reason}: choose a language model with --lm"):
        strict.learn([reply])


def test_the_first_usable_reply_counts():
    lapt = taught()
    lapt.ask()
    lapt.learn(["", WORDS])
    assert lapt.ask()[0].allowed == BY_WORDS


def test_the_control_asks_for_no_words_and_adapts_nothing():
    lapt = taught(principles="histogram")
    asked = go_on(lapt, [0.5] * 20, reply=WORDS)
    assert [request.samples for request in asked] == [0] + [1] * 20
    assert len({request.allowed for request in asked[1:]}) == 1
    assert lapt.finished
    assert "No words of a language model were used: none was asked" in lapt.principles


def test_principles_are_looked_at_again_after_10_and_15_designs():
    lapt = taught()
    asked = go_on(lapt, [0.5] * 20, WORDS)
    places = [n for n, request in enumerate(asked) if request.operation == "principles"]
    assert places == [0, 11, 17]
    assert [asked[place].round for place in places] == [0, 10, 15]
    assert [request.index for request in asked] == list(range(23))
    assert lapt.finished and lapt.children == 20


def test_a_round_that_passes_two_looks_has_one():
    lapt = taught(rounds=3, prompts_per_round=16)
    lapt.ask()
    lapt.learn([WORDS])
    lapt.tell([child(request, 0.5) for request in lapt.ask()])
    assert lapt.ask()[0].operation == "principles"
    lapt.learn([WORDS])
    assert [request.operation for request in lapt.ask()] == ["mutate"] * 16


def test_where_the_best_improved_the_five_best_are_shown():
    lapt = taught()
    accuracies = [0.5, 0.1, 0.2, 0.3, 0.4, 0.6, 0.35, 0.15, 0.25, 0.45]
    go_on(lapt, accuracies, WORDS)
    before = lapt.principles
    (request,) = lapt.ask()
    assert shown(request) == [0.6, 0.5, 0.45, 0.4, 0.35]
    assert "its best has improved" in request.instruction
    assert before in request.instruction


def test_where_it_did_not_other_options_are_asked_for():
    lapt = taught()
    accuracies = [0.5, 0.1, 0.2, 0.3, 0.4, 0.45, 0.35, 0.15, 0.25, 0.45]
    go_on(lapt, accuracies, WORDS)
    (request,) = lapt.ask()
    assert "its best has not improved" in request.instruction
    assert "keep other options" in request.instruction


def test_the_second_look_compares_with_the_first():
    lapt = taught()
    accuracies = [0.1, 0.1, 0.1, 0.1, 0.1, 0.9, *[0.2] * 9]  # better at the first look only
    go_on(lapt, accuracies, WORDS)
    assert "its best has not improved" in lapt.ask()[0].instruction


def test_without_words_the_best_designs_narrow_the_options():
    lapt = taught(adapt_top=2)
    first, second = (3, 2, 3, 1, 3, 3), (3, 1, 3, 1, 3, 2)
    go_on(lapt, [0.5] * 8)
    for choices, accuracy in ((first, 0.7), (second, 0.6)):
        lapt.tell([child(lapt.ask()[0], accuracy, choices)])
    lapt.ask()
    lapt.learn([""])
    assert "since the best improved: what the 2 best designs have" in lapt.principles
    assert lapt.ask()[0].allowed == (
        ("nor_conv_3x3",),
        ("skip_connect", "nor_conv_1x1"),
        ("nor_conv_3x3",),
        ("skip_connect",),
        ("nor_conv_3x3",),
        ("nor_conv_1x1", "nor_conv_3x3"),
    )


def test_without_words_and_success_the_source_gives_one_option_more():
    lapt = taught()
    go_on(lapt, [0.5] * 10)
    lapt.ask()
    lapt.learn([""])
    assert "since the best did not improve: one option more" in lapt.principles
    assert lapt.ask()[0].allowed == (
        ("nor_conv_1x1", "nor_conv_3x3"),
        ("skip_connect", "nor_conv_1x1"),
        *BY_WORDS[2:],
    )


def test_repeated_designs_are_shown_once():
    lapt = taught(adapt_top=3)
    lapt.ask()
    lapt.learn([WORDS])
    for accuracy in [0.5, 0.5, 0.9, 0.9, 0.4, 0.3, 0.2, 0.2, 0.2, 0.2]:
        choices = (int(10 * accuracy) % 5, int(10 * accuracy) // 5, 0, 0, 0, 0)
        lapt.tell([child(lapt.ask()[0], accuracy, choices)])
    assert shown(lapt.ask()[0]) == [0.9, 0.5, 0.4]


def test_a_resumed_search_asks_the_same():
    accuracies = [0.5, None, 0.7, 0.1, 0.2, 0.9, 0.3, None, 0.8, 0.6, 0.4, 0.5, 0.95]
    whole, again = taught(), taught()
    assert go_on(whole, accuracies, WORDS) == go_on(again, accuracies, WORDS)
    assert (whole.ask(), whole.principles) == (again.ask(), again.principles)


def test_seeds_take_no_part():
    lapt = Lapt(Options(source="table.json"), 0)
    lapt.teach([Parent("", CELL.write(SOURCE[0]), {"val_accuracy": 0.7})])
    metrics = {"num_params": 10, "val_accuracy": 0.99, "fitness": 0.99}
    seed = Candidate(0, "s", "", evaluation=Evaluation("scored", "scored", metrics=metrics))
    lapt.tell([seed])
    asked = go_on(lapt, [0.5] * 6, WORDS)
    assert asked[1].parents == ()
    assert lapt.best(1)[0].evaluation != seed.evaluation


def test_calls_out_of_order_raise():
    untaught = Lapt(Options(source="table.json"), 0)
    untaught.tell([])
    with pytest.raises(RuntimeError, match="before the strategy was taught"):
        untaught.ask()
    lapt = taught()
    with pytest.raises(RuntimeError, match="learn called without asking"):
        lapt.learn([WORDS])
    lapt.ask()
    with pytest.raises(RuntimeError, match="call learn"):
        lapt.tell([])
    lapt.learn([WORDS])
    with pytest.raises(RuntimeError, match="learn called without asking"):
        lapt.learn([WORDS])


def test_it_goes_by_rounds_only():
    with pytest.raises(UserError, match="leave out --schedule=steady"):
        taught().ask_one()


def test_a_missing_source_is_told_with_what_to_give():
    with pytest.raises(UserError, match="give --source=FILE, not the table that is searched"):
        Lapt(Options(), 0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"source_top": 0}, "--source_top must be 1 or more, got 0"),
        ({"population": 0}, "--population must be 1 or more, got 0"),
        ({"tournament": 6}, r"--tournament must be at most --population \(5\), got 6"),
        ({"options_per_place": -1}, "--options_per_place must be 0 or more, got -1"),
        ({"temperature": -1.0}, "--temperature must be 0 or more, got -1.0"),
        ({"adapt_after": (15, 10)}, "--adapt_after must be rising numbers above zero, got 15,10"),
        ({"adapt_after": (0, 10)}, "--adapt_after must be rising numbers above zero, got 0,10"),
        (
            {"principles": "bible"},
            "--principles must be one of auto, words, histogram, got 'bible'",
        ),
        ({"rounds": 0}, "--rounds must be 1 or more, got 0"),
    ],
    ids=[
        "top",
        "population",
        "tournament",
        "max",
        "temperature",
        "falling",
        "zero",
        "way",
        "rounds",
    ],
)
def test_bad_options_are_named(option, message):
    with pytest.raises(UserError, match=message):
        Options(**option)
