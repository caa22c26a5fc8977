"""Soft prompt-tuning: against peft's own reading of what was learnt, and on programs left out."""

import pytest

from evo_clrs import programs, proposers
from evo_clrs.errors import UserError
from evo_clrs.proposers import prompts
from evo_clrs.proposers.base import Lesson
from evo_clrs.records import Parent, Request
from evo_clrs.slots import TRIPLET

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from evo_clrs.proposers import tuning  # noqa: E402
from tests.proposers import tiny_lm  # noqa: E402

SOURCES = list(programs.load("triplet").values())
SHOWN = Parent("aa", "x = 1\n", {"num_params": 100, "val_accuracy": 0.5})
REQUEST = Request(3, 1, (SHOWN,), {"num_params": 100}, (0.0, 0.8, 1.0))
PROMPT = prompts.load("paper").build(REQUEST, TRIPLET)
LESSONS = [Lesson(PROMPT, (SHOWN.source,), source) for source in SOURCES[:6]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_lm.write(tmp_path_factory.mktemp("tiny"))


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def tokenized(folder, sources):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    read = tuple(tokenizer(PROMPT.rstrip("\n"))["input_ids"])
    return [tuning.Example(read, tuple(tokenizer(source)["input_ids"])) for source in sources]


def mean_loss(model, examples):
    with torch.no_grad():
        return sum(float(tuning.loss(model, example)) for example in examples) / len(examples)


@pytest.mark.parametrize("seed", range(3))
def test_programs_left_out_become_likelier_and_the_model_itself_stays(folder, tmp_path, seed):
    model = load(folder)
    learnt, left_out = tokenized(folder, SOURCES[:6]), tokenized(folder, SOURCES[6:9])
    before = mean_loss(model, left_out)
    found = {}
    for name, rate in (("tuned", 0.1), ("control", 0.0)):
        schedule = tuning.Schedule(epochs=20, learning_rate=rate)
        tuning.tune(model, learnt, schedule, seed, None, tmp_path / name)
        tuned = peft.PeftModel.from_pretrained(load(folder), tmp_path / name)
        found[name] = mean_loss(tuned, left_out)
    assert found["tuned"] < min(found["control"], before) - 0.1
    assert mean_loss(model, left_out) == pytest.approx(before, abs=1e-6)
    assert tuning.vectors(tmp_path / "tuned").shape == (16, 32)


def test_only_the_programs_tokens_are_learnt(folder):
    (example,) = tokenized(folder, SOURCES[:1])
    model = load(folder)
    with torch.no_grad():
        logits = model(torch.tensor([[*example.prompt, *example.program]])).logits[0]
    start = len(example.prompt) - 1
    expected = torch.nn.functional.cross_entropy(
        logits[start : start + len(example.program)], torch.tensor(example.program)
    )
    assert float(tuning.loss(model, example).detach()) == pytest.approx(float(expected), abs=1e-4)


def make(folder, run, **options):
    options = {"max_new_tokens": 20, "tune_lm": True, "soft_prompt_length": 8, **options}
    return proposers.make(f"hf:{folder}", options, run)


def replies(model):
    return [proposal.reply for proposal in model.propose(REQUEST, TRIPLET, PROMPT, seed=0)]


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """A run folder after two rounds, and what is sampled before, between and after."""
    run = tmp_path_factory.mktemp("tuned")
    model = make(folder, run)
    found = [replies(model)]
    for step in (1, 2):
        model.tune(step, LESSONS, TRIPLET, seed=0)
        found.append(replies(model))
    return run, found


def test_samples_are_those_of_peft_with_the_same_soft_prompt(folder, tuned):
    run, found = tuned
    model = peft.PeftModel.from_pretrained(load(folder), run / "soft_prompt" / "2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = torch.tensor([tokenizer(PROMPT.rstrip("\n"))["input_ids"]])
    told = model.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        max_new_tokens=20,
        pad_token_id=0,
    )
    text = tokenizer.decode(told[0], skip_special_tokens=True)
    assert found[2][0] and text.removeprefix(PROMPT.rstrip("\n")).startswith(found[2][0])
    assert found[0] != found[1] != found[2]


def test_a_resumed_run_reads_what_was_learnt_and_samples_the_same(folder, tuned, monkeypatch):
    run, found = tuned
    monkeypatch.setattr(tuning, "tune", None)  # nothing is tuned again
    model = make(folder, run)
    for step in (1, 2):
        model.tune(step, LESSONS, TRIPLET, seed=0)
        assert replies(model) == found[step]


def test_tuning_again_from_the_start_gives_the_same(folder, tuned, tmp_path):
    model = make(folder, tmp_path)
    model.tune(1, LESSONS, TRIPLET, seed=0)
    assert replies(model) == tuned[1][1]
    other = make(folder, tmp_path / "other")
    other.tune(1, LESSONS, TRIPLET, seed=1)
    assert replies(other) != tuned[1][1]


def test_a_soft_prompt_is_carried_over(folder, tuned):
    run, _ = tuned
    first, second = (tuning.vectors(run / "soft_prompt" / str(step)) for step in (1, 2))
    fresh = torch.nn.functional.cosine_similarity(first, second)
    assert float(fresh.mean()) > 0.5 and not torch.equal(first, second)


def test_a_round_without_programs_leaves_it_as_it_is(folder, tuned, tmp_path):
    model = make(folder, tmp_path)
    model.tune(1, [], TRIPLET, seed=0)
    assert replies(model) == tuned[1][0]
    assert not (tmp_path / "soft_prompt").exists()


def test_it_needs_a_run_folder_and_a_proper_length(folder):
    with pytest.raises(UserError, match="--tune_lm needs a run folder"):
        make(folder, None).tune(1, LESSONS, TRIPLET, seed=0)
    with pytest.raises(UserError, match="--soft_prompt_length must be 1 or more, got 0"):
        make(folder, None, soft_prompt_length=0)
