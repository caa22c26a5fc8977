"""Sampling: against transformers' own greedy search, and against the distribution itself."""

import random

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from evo_clrs.proposers import sampling  # noqa: E402
from tests.proposers import tiny_lm  # noqa: E402

PROMPT = "def get_triplet_msgs(z):\n"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tiny_lm.write(tmp_path_factory.mktemp("tiny"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def sample(
    loaded,
    temperatures,
    most=12,
    seed=0,
    stops=frozenset(),
    ended=lambda text: False,
    guide=None,
):
    model, tokenizer = loaded
    draws = [
        sampling.Draw(temperature, random.Random(f"{seed}:{row}"))
        for row, temperature in enumerate(temperatures)
    ]
    tokens = tokenizer(PROMPT)["input_ids"]
    return sampling.sample(model, tokenizer, tokens, draws, most, stops, ended, guide=guide)


def greedy(loaded, most):
    model, tokenizer = loaded
    tokens = torch.tensor([tokenizer(PROMPT)["input_ids"]])
    told = model.generate(
        tokens, do_sample=False, max_new_tokens=most, eos_token_id=None, pad_token_id=0
    )
    return told[0, tokens.shape[1] :].tolist()


def test_without_temperature_it_is_the_librarys_greedy_search(loaded):
    first, second = sample(loaded, (0.0, 0.0), most=40)
    expected = loaded[1].decode(greedy(loaded, 40), skip_special_tokens=True)
    assert first.text == second.text == expected
    assert first.tokens == 40 and not first.ended


class Only:
    """Lets through some tokens, while the text is short."""

    def __init__(self, tokens, most=6):
        self.tokens, self.most = tokens, most

    def admits(self, text, token):
        return len(text) >= self.most or token in self.tokens


def test_only_tokens_that_are_let_through_are_drawn_and_where_all_are_nothing_changes(loaded):
    two = loaded[1]("az", add_special_tokens=False)["input_ids"]
    free = sample(loaded, (1.0, 1.0))
    for kept, other in zip(sample(loaded, (1.0, 1.0), guide=Only(two)), free, strict=True):
        assert set(kept.text[:6]) <= set("az") and kept.text != other.text
    assert sample(loaded, (1.0, 1.0), guide=Only(two, most=0)) == free


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_what_is_let_through_keeps_its_shares(temperature):
    """What is drawn where the first token may not follow, is drawn from those that may."""
    logits = temperature * torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1]))
    guide, found = Only([1, 3]), [0] * 4
    for seed in range(4000):
        draw = sampling.Draw(temperature, random.Random(seed))
        (first,) = sampling._choose(logits[None], [draw])
        found[sampling._guided(guide, "", first, logits, draw)] += 1
    assert found[0] == found[2] == 0
    assert found[1] == pytest.approx(3000, abs=137)  # five standard deviations


def test_without_temperature_the_likeliest_of_what_is_let_through_is_taken():
    logits = torch.log(torch.tensor([0.4, 0.1, 0.2, 0.3]))
    draw = sampling.Draw(0.0, random.Random(0))
    assert sampling._guided(Only([1, 2]), "", 0, logits, draw) == 2
    assert sampling._guided(Only([]), "", 0, logits, draw) == 0  # none may: as drawn


def test_tokens_come_as_often_as_the_model_says(loaded):
    model, tokenizer = loaded
    temperature, count = 0.7, 4000
    with torch.no_grad():
        logits = model(torch.tensor([tokenizer(PROMPT)["input_ids"]])).logits[0, -1]
    expected = torch.softmax(logits / temperature, dim=0)
    found = torch.zeros_like(expected)
    draws = sampling._choose(
        logits.expand(count, -1),
        [sampling.Draw(temperature, random.Random(seed)) for seed in range(count)],
    )
    for token in draws:
        found[token] += 1 / count
    assert float((found - expected).abs().sum() / 2) < 0.15  # total variation
    top = int(expected.argmax())
    assert found[top] == pytest.approx(float(expected[top]), abs=4 * (0.25 / count) ** 0.5)


def test_a_sample_depends_on_its_own_draw_and_not_on_its_neighbours(loaded):
    together = sample(loaded, (0.8, 1.0, 0.2))
    fewer = sample(loaded, (0.8, 1.0))
    assert together[:2] == fewer
    assert together[0].text != together[1].text
    assert sample(loaded, (0.8, 1.0), seed=1) != fewer


def test_rows_that_have_ended_leave_the_others_alone(loaded):
    """One row ends at its third token; the other goes on as if alone."""
    whole = sample(loaded, (0.0, 1.0))
    stopped = sample(loaded, (0.0, 1.0), stops=frozenset({greedy(loaded, 3)[2]}))
    assert stopped[0].ended and stopped[0].tokens == 3
    assert whole[0].text.startswith(stopped[0].text)
    assert stopped[1] == whole[1] and not stopped[1].ended


def test_a_model_without_a_cache_that_can_be_repeated_gives_the_same(loaded, monkeypatch):
    whole = sample(loaded, (0.0, 0.8, 1.0))
    monkeypatch.delattr(transformers.cache_utils.Cache, "batch_select_indices")
    assert sample(loaded, (0.0, 0.8, 1.0)) == whole


def test_numbers_that_are_not_finite_are_told(loaded):
    with pytest.raises(FloatingPointError, match="not finite"):
        sampling._choose(torch.full((1, 4), float("nan")), [sampling.Draw(1.0, random.Random(0))])
