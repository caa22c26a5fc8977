"""The tokenizer: any text comes back as it was; names and digits stand alone."""

import hypothesis
import pytest
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("transformers")

from evo_clrs import program, programs  # noqa: E402
from evo_clrs.proposers.pretraining import tokens  # noqa: E402

TEXTS = [program.bare(source) for source in programs.load("processor").values()]
TOKENIZER = tokens.learn(TEXTS, 600)


def pieces(text):
    return [TOKENIZER.decode([token]) for token in TOKENIZER(text)["input_ids"]]


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(st.text())
def test_any_text_comes_back(text):
    assert (
        TOKENIZER.decode(TOKENIZER(text)["input_ids"], clean_up_tokenization_spaces=False) == text
    )


def test_programs_come_back_in_few_tokens():
    for text in TEXTS:
        assert "".join(pieces(text)) == text
        assert len(pieces(text)) < len(text) / 5


def test_names_of_a_program_stand_alone():
    found = pieces("        gate_3 = hk.Linear(self.out_size)(gate_12)\n")
    assert "hk.Linear" in "".join(piece for piece in found if "gate" not in piece)
    assert not any("gate" in piece and "=" in piece for piece in found)


def test_numbers_are_read_digit_by_digit():
    assert [piece for piece in pieces("{'num_params': '52390'}") if piece.isdigit()] == list(
        "52390"
    )


def test_the_end_is_one_token():
    assert TOKENIZER.convert_tokens_to_ids(tokens.END) == TOKENIZER.eos_token_id
