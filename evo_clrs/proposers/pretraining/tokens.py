"""The tokenizer of a small language model: byte pairs of program text, learnt from a corpus.

Names of the program itself stand alone, and what is between two of them may grow into one token, so
that ` = hk.Linear(self.out_size)(` is one where programs repeat it. Numbers of two digits and more
are read digit by digit.
"""

from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

END = "<|end|>"  # after a program

# A digit beside another one; a name that is neither an attribute, nor called, nor a keyword of a
# call; a word with its space before.
_DIGIT = r"\d(?=[\d.]\d|\d)|(?<=\d)\d|(?<=\d\.)\d"
_NAME = r"(?<![\w.])[A-Za-z_]\w*(?![\w.(=])"


def learn(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of so many tokens.

    Args:
      texts: the corpus.
      size: of the vocabulary, the 256 bytes and the end included.
    """
    learnt = tokenizers.Tokenizer(models.BPE())
    split: Any = [
        pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated")
        for pattern in (_NAME, _DIGIT)
    ]
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    learnt.pre_tokenizer = pre_tokenizers.Sequence([*split, bytewise])
    learnt.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=48,
    )
    learnt.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=learnt, eos_token=END, pad_token=END)
