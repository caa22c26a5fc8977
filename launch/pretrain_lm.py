"""Trains a small language model that writes programs, from scratch, on a CPU or a GPU.

  python -m launch.pretrain_lm --out=FOLDER --workers=2

Made are, in this order and each kept in FOLDER: a corpus of programs that the grammar operator
proposes, a tokenizer, the model. What is there already is gone on from. FOLDER/model is what
`--lm=hf:FOLDER/model --prompt=edits` loads; `python -m launch.measure_lm` says how good it is.
"""

import dataclasses
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from evo_clrs.proposers.pretraining import corpus, examples
from launch import cli, surroundings

OUT = flags.DEFINE_string("out", "", "Folder for the corpus, checkpoints and the model.")
CHUNKS = flags.DEFINE_list(
    "chunks",
    ["processor:36", "triplet:18", "network:18"],
    f"How many chunks of {corpus.CHUNK} families of each slot are learnt from.",
)
WORKERS = flags.DEFINE_integer("workers", 1, "Processes that make the corpus.")
VOCABULARY = flags.DEFINE_integer("vocabulary", 1536, "Tokens of the tokenizer.")
EPOCHS = flags.DEFINE_integer("epochs", 3, "Times that every program is seen.")
LAYERS = flags.DEFINE_integer("layers", 4, "Layers of the model.")
WIDTH = flags.DEFINE_integer("width", 256, "Width of the model; its MLPs are three times as wide.")
BATCH_TOKENS = flags.DEFINE_integer("batch_tokens", 4096, "Tokens of a batch, padding included.")
LEARNING_RATE = flags.DEFINE_float("learning_rate", 1.5e-3, "Highest learning rate.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, order and numbers.")
MINUTES = flags.DEFINE_float("minutes", 0.0, "Stop after so long, to go on later; 0 for never.")
DEVICE = flags.DEFINE_string("device", "auto", "cpu, cuda, or auto for the first accelerator.")

_SLOTS = ("processor", "triplet", "network")


def main(arguments: Sequence[str]) -> None:
    """Makes what is missing."""
    cli.expect_no_arguments(arguments)
    chunks = _chunks(CHUNKS.value)
    if not OUT.value or WORKERS.value < 1 or EPOCHS.value < 1 or VOCABULARY.value < 257:
        raise flags.Error(
            "give --out=FOLDER, --workers, --epochs of 1, --vocabulary of 257 or more"
        )
    folder = Path(OUT.value)
    around = {slot: surroundings.surroundings(slot, folder) for slot in chunks}
    families: list[corpus.Family] = []
    numbers = {slot: range(count) for slot, count in chunks.items()}
    for made in corpus.make(folder / "corpus", numbers, WORKERS.value):
        families += made
        count = sum(len(family.children) for family in families)
        print(f"corpus: {len(families):,} families, {count:,} programs", flush=True)
    if not _train(families, around, folder):
        print(f"stopped after --minutes={MINUTES.value:g}: the same command goes on")


def _train(
    families: Sequence[corpus.Family],
    around: Mapping[str, Sequence[examples.Surroundings]],
    folder: Path,
) -> bool:
    """Trains and writes tokenizer and model; returns whether it came to the end."""
    import torch
    import transformers

    from evo_clrs.proposers.pretraining import tokens, training

    if (folder / "tokenizer" / "tokenizer.json").is_file():
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    else:
        texts = itertools.chain.from_iterable(map(examples.texts, families))
        tokenizer = tokens.learn(texts, VOCABULARY.value)
        tokenizer.save_pretrained(folder / "tokenizer")
    schedule = training.Schedule(
        width=WIDTH.value,
        layers=LAYERS.value,
        inner=3 * WIDTH.value,
        epochs=EPOCHS.value,
        batch_tokens=BATCH_TOKENS.value,
        learning_rate=LEARNING_RATE.value,
        seed=SEED.value,
        minutes=MINUTES.value,
    )
    device = DEVICE.value
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = training.build(tokenizer, schedule).to(device)
    count = sum(weights.numel() for weights in model.parameters())
    print(f"model: {count:,} parameters", flush=True)
    started = time.monotonic()

    def tell(progress: training.Progress) -> None:
        seconds = time.monotonic() - started
        print(
            f"epoch {progress.epoch + 1} of {schedule.epochs}, batch {progress.batch} of "
            f"{progress.batches}: loss {progress.loss:.3f}; {progress.tokens:,} tokens, "
            f"{seconds / 60:.1f} min",
            flush=True,
        )

    def of_epoch(epoch: int) -> Sequence[Any]:
        return list(examples.examples(families, around, tokenizer, SEED.value, epoch))

    done = training.train(model, of_epoch, schedule, folder, tell)
    if done:
        transformers.utils.logging.disable_progress_bar()
        model.cpu().half().save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        (folder / "training.json").write_text(
            json.dumps(dataclasses.asdict(schedule) | {"parameters": count}) + "\n"
        )
        print(f"model: {folder / 'model'}")
    return done


def _chunks(told: Sequence[str]) -> Mapping[str, int]:
    chunks: dict[str, int] = {}
    for entry in told:
        slot, _, number = entry.partition(":")
        if slot not in _SLOTS or not number.isdecimal():
            raise flags.Error(f"--chunks takes SLOT:NUMBER of {', '.join(_SLOTS)}; got {entry!r}")
        chunks[slot] = int(number)
    return chunks


if __name__ == "__main__":
    cli.run_main(main, ("out", "chunks", "epochs", "workers", "minutes"))
