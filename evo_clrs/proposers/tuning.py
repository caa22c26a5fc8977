"""Soft prompt-tuning of a causal model between rounds, by peft.

A soft prompt is a few vectors that stand before the embedded prompt and are all that is learnt. It
starts as embeddings of tokens drawn from the vocabulary and is carried over from round to round. It
is kept in peft's own layout: `peft.PeftModel.from_pretrained(model, folder)` loads it.

Adafactor takes the learning rate as a share of the vectors' own size, so that the paper's 0.1 suits
models whatever the scale of their embeddings.

References: Lester, Al-Rfou, Constant, "The Power of Scale for Parameter-Efficient Prompt Tuning",
EMNLP 2021, https://arxiv.org/abs/2104.08691; EvoPrompting (Chen, Dohan, So, NeurIPS 2023).
"""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
import transformers

from evo_clrs import randomness

_WEIGHTS = "adapter_model.safetensors"


@dataclasses.dataclass(frozen=True)
class Example:
    """A program with the prompt that it answers, as tokens.

    Attributes:
      prompt: tokens that are read.
      program: tokens that are learnt.
    """

    prompt: tuple[int, ...]
    program: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How a soft prompt is tuned; the defaults are EvoPrompting's.

    Attributes:
      length: vectors of the soft prompt.
      epochs: times that every example is seen.
      batch: examples of one step.
      learning_rate: of Adafactor, relative to the size of the vectors.
    """

    length: int = 16
    epochs: int = 5
    batch: int = 16
    learning_rate: float = 0.1


def tune(
    model: Any,
    examples: Sequence[Example],
    schedule: Schedule,
    seed: int,
    earlier: Path | None,
    folder: Path,
) -> None:
    """Tunes a soft prompt on examples and writes it to a folder, whole or not at all.

    Args:
      model: a causal model; its own weights stay as they are.
      examples: programs with their prompts.
      schedule: how long and how fast.
      seed: of the first vectors and of the order of examples.
      earlier: folder of the soft prompt to go on from; None to start one.
      folder: where the new one is written.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = peft.PromptTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=schedule.length,
            prompt_tuning_init="SAMPLE_VOCAB",
        )
        tuned: Any = peft.get_peft_model(model, config)
        if earlier is not None:
            known = vectors(earlier)
            with torch.no_grad():
                tuned.prompt_encoder["default"].embedding.weight.copy_(known)
        _train(tuned, examples, schedule, seed)
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    tuned.save_pretrained(str(new))
    os.replace(new, folder)


def vectors(folder: Path) -> torch.Tensor:
    """Returns the soft prompt of a folder, [length, width]."""
    return safetensors.torch.load_file(str(folder / _WEIGHTS))["prompt_embeddings"]


def loss(model: Any, example: Example, soft: torch.Tensor | None = None) -> torch.Tensor:
    """Returns the mean negative log-likelihood of a program's tokens, in nats.

    Args:
      model: a causal model.
      example: program and prompt.
      soft: vectors that stand before the prompt, [length, width], where the model does not add its
        own; None for none.
    """
    tokens = torch.tensor([[*example.prompt, *example.program]], device=model.device)
    labels = tokens.clone()
    labels[:, : len(example.prompt)] = -100  # not learnt
    if soft is None:
        mask = torch.ones_like(tokens)
        return model(input_ids=tokens, attention_mask=mask, labels=labels).loss
    embedded = model.get_input_embeddings()(tokens)
    vectors_ = soft.to(embedded)[None]
    unread = labels.new_full((1, vectors_.shape[1]), -100)
    read = torch.cat([vectors_, embedded], dim=1)
    return model(inputs_embeds=read, labels=torch.cat([unread, labels], dim=1)).loss


def _train(tuned: Any, examples: Sequence[Example], schedule: Schedule, seed: int) -> None:
    """Takes one step a batch; examples go one by one, so that none needs padding."""
    tuned.eval()  # dropout off: what is learnt is few vectors
    optimizer = transformers.Adafactor(
        [weights for weights in tuned.parameters() if weights.requires_grad],
        lr=schedule.learning_rate,
        scale_parameter=True,
        relative_step=False,
        warmup_init=False,
    )
    for epoch in range(schedule.epochs):
        order = list(examples)
        randomness.generator(seed, "tuning order", epoch).shuffle(order)
        for start in range(0, len(order), schedule.batch):
            batch = order[start : start + schedule.batch]
            total = sum(len(example.program) for example in batch)
            optimizer.zero_grad()
            for example in batch:
                (loss(tuned, example) * (len(example.program) / total)).backward()
            optimizer.step()
