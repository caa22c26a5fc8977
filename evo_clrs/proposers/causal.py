"""Causal language models of transformers: loading one, and texts as the tokens that it takes."""

import os
from typing import Any

from evo_clrs import slots
from evo_clrs.errors import UserError
from evo_clrs.proposers import patches, prompts


def load(place: str, dtype: str = "auto", device: str = "auto") -> tuple[Any, Any]:
    """Returns a causal model, ready to be asked, and its tokenizer.

    Args:
      place: folder or hub id.
      dtype: of its numbers; auto for float32 on CPUs and as stored elsewhere.
      device: as torch names it; auto for the first accelerator, or the CPU.

    Raises:
      UserError: it cannot be loaded, or the device is not there.
    """
    # Threads of torch that wait for each other keep a core busy, by default for so long that beside
    # a search's trainings a small model takes three times as long; read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if device == "auto":
        accelerated = torch.accelerator.is_available()
        device = str(torch.accelerator.current_accelerator()) if accelerated else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=dtype)
        return model.to(torch.device(device)).eval(), tokenizer
    except (OSError, ValueError, RuntimeError, AssertionError, KeyError, ImportError) as error:
        what = " ".join(str(error).split())[:300]
        raise UserError(f"--lm=hf:{place} cannot be loaded: {what}") from error


def tokens_of(tokenizer: Any, prompt: str, slot: slots.Slot) -> tuple[list[int], str]:
    """Returns a prompt as tokens, and the opening that the reply goes on from, "" if it does not.

    The opening is the slot's or that of edits.
    """
    messages = prompts.messages(prompt)
    if len(messages) > 1 and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"]), ""
    tokens = list(tokenizer(prompts.plain(prompt))["input_ids"])
    if tokens and tokens[-1] == tokenizer.eos_token_id:
        tokens.pop()
    openings = (slot.opening, patches.OPENING)
    return tokens, next((known for known in openings if prompt.endswith(known)), "")


def example(tokenizer: Any, prompt: str, reply: str, slot: slots.Slot) -> Any:
    """Returns a reply (see `answers`) with its prompt, as tokens, as sampling would have them."""
    from evo_clrs.proposers import tuning

    read, opening = tokens_of(tokenizer, prompt, slot)
    if opening == slot.opening:  # it was read; its line end is the first to be written
        reply = "\n" + reply.removeprefix(slot.opening)
    written = tokenizer(reply, add_special_tokens=False)["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return tuning.Example(tuple(read), (*written, *end))


def stops(model: Any, tokenizer: Any) -> frozenset[int]:
    """Returns the tokens that end a text, by the model's settings and the tokenizer's."""
    told = getattr(model.generation_config, "eos_token_id", None)
    found = list(told) if isinstance(told, list | tuple) else [told]
    return frozenset(stop for stop in [*found, tokenizer.eos_token_id] if stop is not None)


def positions(model: Any) -> int:
    """Returns how many tokens the model takes in all."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or 2**31
