"""Local models: a tiny one made on the spot, and one that knows a program by heart."""

import dataclasses

import pytest

from evo_clrs import programs, proposers
from evo_clrs.errors import UserError
from evo_clrs.gates import static
from evo_clrs.proposers import prompts
from evo_clrs.proposers.base import Refusal
from evo_clrs.records import Parent, Request
from evo_clrs.slots import TRIPLET

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.proposers import tiny_lm  # noqa: E402

V8 = programs.load("triplet")["v8_tiled_linear"]
BODY = V8.partition(TRIPLET.opening)[2]
SHOWN = Parent("aa", "x = 1\n", {"num_params": 100, "val_accuracy": 0.5})
REQUEST = Request(3, 1, (SHOWN,), {"num_params": 100}, (0.0, 0.6, 0.8, 1.0))
PROMPT = prompts.load("paper").build(REQUEST, TRIPLET)


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    return tiny_lm.write(tmp_path_factory.mktemp("untaught"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A model that goes on from the prompt with v8 and then with the next header."""
    folder = tiny_lm.write(tmp_path_factory.mktemp("taught"), width=64)
    answer = f"\n{BODY}\n\n{prompts.header({'num_params': 1})}\n"
    return tiny_lm.teach(folder, (PROMPT.rstrip("\n"), answer))


def make(folder, **options):
    return proposers.make(f"hf:{folder}", {"max_new_tokens": 24, **options})


def test_the_same_seed_gives_the_same_samples_and_another_does_not(untaught):
    first = make(untaught).propose(REQUEST, TRIPLET, PROMPT, seed=0)
    again = make(untaught).propose(REQUEST, TRIPLET, PROMPT, seed=0)
    other = make(untaught).propose(REQUEST, TRIPLET, PROMPT, seed=1)
    replies = [proposal.reply for proposal in first]
    assert [proposal.reply for proposal in again] == replies
    assert [proposal.reply for proposal in other][1:] != replies[1:]
    assert len(set(replies)) == 4


def test_batches_of_any_size_give_the_same_samples(untaught):
    whole = make(untaught).propose(REQUEST, TRIPLET, PROMPT, seed=0)
    for size in (1, 3):
        parts = make(untaught, lm_batch=size).propose(REQUEST, TRIPLET, PROMPT, seed=0)
        assert [part.reply for part in parts] == [proposal.reply for proposal in whole]


def test_tokens_and_time_are_counted(untaught):
    first, *others = make(untaught, lm_batch=4).propose(REQUEST, TRIPLET, PROMPT, seed=0)
    assert first.prompt_tokens > 50
    assert [proposal.prompt_tokens for proposal in others] == [0, 0, 0]
    assert all(0 < proposal.completion_tokens <= 24 for proposal in (first, *others))
    assert all(proposal.seconds > 0 for proposal in (first, *others))


def test_a_reply_that_does_not_end_says_so(untaught):
    found = make(untaught).propose(REQUEST, TRIPLET, PROMPT, seed=0)
    endless = [proposal for proposal in found if proposal.completion_tokens == 24]
    assert endless
    assert all(proposal.note.startswith("cut off at 24 tokens") for proposal in endless)


def test_it_stops_at_the_end_of_the_program_and_not_at_a_number_of_tokens(taught):
    asked = dataclasses.replace(REQUEST, temperatures=(0.0,))
    (proposal,) = make(taught, max_new_tokens=2000).propose(asked, TRIPLET, PROMPT, seed=0)
    assert proposal.source.endswith(TRIPLET.opening + BODY)
    static.check(proposal.source, TRIPLET)
    assert proposal.note == ""
    assert proposal.reply.rstrip("\n") != BODY.rstrip("\n")  # one token of what comes next
    assert len(proposal.reply) < len(BODY) + 20


def test_half_precision_runs_and_is_another_identity(taught):
    asked = dataclasses.replace(REQUEST, temperatures=(0.0,))
    half = make(taught, max_new_tokens=2000, lm_dtype="bfloat16")
    (proposal,) = half.propose(asked, TRIPLET, PROMPT, seed=0)
    assert proposal.completion_tokens > 0
    assert half.identity != make(taught, max_new_tokens=2000).identity


def test_a_prompt_that_is_too_long_costs_its_replies_and_not_the_run(tmp_path):
    small = tiny_lm.write(tmp_path / "small", positions=32)
    for proposal in make(small).propose(REQUEST, TRIPLET, PROMPT, seed=0):
        assert proposal.source == "" and "the model takes 32" in proposal.note


def test_a_model_with_a_chat_template_is_asked_in_it(tmp_path):
    folder = tiny_lm.write(tmp_path / "chat", chat=True)
    chat = prompts.load("chat").build(REQUEST, TRIPLET)
    found = make(folder).propose(REQUEST, TRIPLET, chat, seed=0)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(
        prompts.messages(chat), add_generation_prompt=True, tokenize=False
    )
    assert found[0].prompt_tokens == len(tokenizer(text)["input_ids"])


def test_a_refused_reply_is_answered_again_by_its_own_draw(untaught):
    model = make(untaught)
    refusals = [Refusal(REQUEST, sample, 0, PROMPT, ()) for sample in (1, 3)]
    both = model.repair(refusals, TRIPLET, seed=0)
    (second,) = model.repair(refusals[1:], TRIPLET, seed=0)
    assert both[1].reply == second.reply != both[0].reply


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hf:", {}, "--lm=hf needs a model: --lm=hf:FOLDER_OR_ID"),
        ("hf:/no/such/folder", {}, "no model there, there is no config.json"),
        ("hf:m", {"lm_dtype": "int8"}, "--lm_dtype must be one of auto, float32"),
        ("hf:m", {"max_new_tokens": 0}, "--max_new_tokens must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_made_is_told(name, options, message):
    with pytest.raises(UserError, match=message):
        proposers.make(name, options)


def test_a_model_that_is_not_here_is_told_when_it_is_asked():
    with pytest.raises(UserError, match="--lm=hf:nobody/nothing cannot be loaded: "):
        proposers.make("hf:nobody/nothing").propose(REQUEST, TRIPLET, PROMPT, seed=0)


def test_without_torch_the_command_that_helps_is_told(monkeypatch, untaught):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs torch and transformers: pip install -e '.\[lm\]'"):
        make(untaught)
