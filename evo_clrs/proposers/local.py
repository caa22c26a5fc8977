"""Language models on this machine: `--lm=hf:FOLDER_OR_ID`, through transformers and torch.

Any causal language model serves: from a folder, or by its id from the Hugging Face hub, whose
library keeps it. The model is loaded when it is first asked.
"""

import dataclasses
import importlib.util
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs import randomness, records, slots
from evo_clrs.errors import UserError
from evo_clrs.proposers import answers, causal, choosing, endings, guiding, patches, replies
from evo_clrs.proposers.base import Lesson, Refusal

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a local model is run.

    Attributes:
      max_new_tokens: tokens at most for one reply of a language model; one that has not ended by
        then is cut off.
      lm_batch: samples that a local model draws at a time; 32 or more for the packaged one.
      lm_candidates: replies that a local model writes for each program that is asked for; the one
        is kept whose names stand, whose shapes are known and whose parameters are nearest to what
        is asked. 0 for what suits the model: 6 for the packaged one, 1 for others.
      lm_dtype: numbers of a local model: float32, bfloat16, float16; auto for float32 on CPUs and
        as stored elsewhere.
      lm_device: where a local model runs, as torch names it: cpu, cuda, cuda:1, mps; auto for the
        first accelerator, or the CPU.
      tune_lm: tune a soft prompt of a local model after each round, on the children that the
        strategy names.
      soft_prompt_length: tokens of the soft prompt of a tuned language model.
      soft_prompt_epochs: epochs of prompt-tuning after each round.
      soft_prompt_batch: batch size of prompt-tuning.
      soft_prompt_learning_rate: learning rate of prompt-tuning.

    Raises:
      UserError: an option is out of range; the message names it.
    """

    max_new_tokens: int = 2048
    lm_batch: int = 16
    lm_candidates: int = 0
    lm_dtype: str = "auto"
    lm_device: str = "auto"
    tune_lm: bool = False
    soft_prompt_length: int = 16
    soft_prompt_epochs: int = 5
    soft_prompt_batch: int = 16
    soft_prompt_learning_rate: float = 0.1

    def __post_init__(self) -> None:
        sizes = ("soft_prompt_length", "soft_prompt_epochs", "soft_prompt_batch")
        for name in ("max_new_tokens", "lm_batch", *sizes):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be 1 or more, got {getattr(self, name)}")
        if self.lm_candidates < 0:
            raise UserError(f"--lm_candidates must be 0 or more, got {self.lm_candidates}")
        if self.lm_dtype not in DTYPES:
            choices = ", ".join(DTYPES)
            raise UserError(f"--lm_dtype must be one of {choices}, got {self.lm_dtype!r}")


@dataclasses.dataclass(frozen=True)
class _Asked:
    """One prompt with what belongs to its samples.

    Attributes:
      request: what was asked.
      prompt: in which words.
      draws: temperature and draw of each sample, the draw as purpose and indices.
      shown: sources that edits may apply to.
    """

    request: records.Request
    prompt: str
    draws: Sequence[tuple[float, tuple[str, tuple[int, ...]]]]
    shown: tuple[str, ...]


class Local:
    """Samples a model of transformers; see `proposers.base.Proposer`.

    The samples of a request share one reading of its prompt: its tokens are counted once a batch,
    with the batch's first sample, and the time of a batch is shared alike.
    """

    def __init__(
        self,
        place: str,
        options: Options,
        folder: Path | None = None,
        name: str = "hf",
        prompt: str = "paper",
    ):
        """Names the model; it is loaded when it is first asked.

        Args:
          place: folder or hub id of the model.
          options: how it is run.
          folder: the run folder, where soft prompts are kept; None where there are none.
          name: what `--lm` calls it.
          prompt: the template that suits it.
        """
        self.name = name
        self.prompt = prompt
        self._place = place
        self._options = options
        self._soft_prompts = None if folder is None else folder / "soft_prompt"
        self._soft_prompt: Path | None = None
        self._loaded: tuple[Any, Any] | None = None
        self._pieces: guiding.Pieces | None = None

    @property
    def identity(self) -> Mapping[str, str | int | float]:
        """What shapes its samples besides prompts and seed."""
        names = ("max_new_tokens", "lm_batch", "lm_candidates", "lm_dtype", "tune_lm")
        return {name: getattr(self._options, name) for name in names}

    @property
    def tunes(self) -> bool:
        """Whether a soft prompt is tuned after each round."""
        return self._options.tune_lm

    def tune(self, step: int, lessons: Sequence[Lesson], slot: slots.Slot, seed: int) -> None:
        """Tunes the soft prompt, see `proposers.base.Tuner`; kept in `RUN/soft_prompt/STEP`.

        Programs that no reply to their prompt could give are left out.

        Raises:
          UserError: there is no run folder, or the model cannot be loaded.
        """
        if self._soft_prompts is None:
            raise UserError("--tune_lm needs a run folder: give --run")
        folder = self._soft_prompts / str(step)
        taught = [] if folder.exists() else self._examples(lessons, slot)
        if taught:
            from evo_clrs.proposers import tuning

            model, _ = self._load()
            options = self._options
            schedule = tuning.Schedule(
                options.soft_prompt_length,
                options.soft_prompt_epochs,
                options.soft_prompt_batch,
                options.soft_prompt_learning_rate,
            )
            key = randomness.seed_for(seed, "tuning", step)
            tuning.tune(model, taught, schedule, key, self._soft_prompt, folder)
        if folder.exists():
            self._soft_prompt = folder

    def loss(self, lessons: Sequence[Lesson], slot: slots.Slot) -> float:
        """Returns the mean negative log-likelihood of a token of programs, in nats.

        Programs that no reply to their prompt could give are left out.

        Args:
          lessons: the programs.
          slot: what they fill.
        """
        import torch

        from evo_clrs.proposers import tuning

        model, _ = self._load()
        made = self._examples(lessons, slot)
        soft = self._vectors()
        with torch.inference_mode():
            losses = [float(tuning.loss(model, one, soft)) * len(one.program) for one in made]
        return sum(losses) / sum(len(one.program) for one in made)

    def _examples(self, lessons: Sequence[Lesson], slot: slots.Slot) -> list[Any]:
        """Returns prompts and the replies that they should have had, as tokens."""
        _, tokenizer = self._load()
        told = [(each.prompt, answers.answer(each, slot)) for each in lessons]
        return [causal.example(tokenizer, prompt, reply, slot) for prompt, reply in told if reply]

    def propose(
        self, request: records.Request, slot: slots.Slot, prompt: str, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one sample for each child asked for, see `proposers.base.Proposer`.

        Raises:
          UserError: the model cannot be loaded, or does not run.
        """
        shown = tuple(parent.source for parent in request.parents)
        draws = [
            (temperature, ("sample", (request.index, sample)))
            for sample, temperature in enumerate(request.temperatures)
        ]
        return self._chosen(_Asked(request, prompt, draws, shown), slot, seed)

    def repair(
        self, refusals: Sequence[Refusal], slot: slots.Slot, seed: int
    ) -> Sequence[records.Proposal]:
        """Returns one sample for each refusal, see `proposers.base.Repairer`."""
        answers: list[records.Proposal] = []
        for refusal in refusals:
            request = refusal.request
            place = ("repair", (request.index, refusal.sample, refusal.attempt))
            draw = (request.temperatures[refusal.sample], place)
            asked = _Asked(request, refusal.prompt, [draw], refusal.programs)
            answers += self._chosen(asked, slot, seed)
        return answers

    def _chosen(self, asked: _Asked, slot: slots.Slot, seed: int) -> list[records.Proposal]:
        """Returns the best of several replies for each draw; what they took is counted in full."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of beginnings that guides parse
            return self._best(asked, slot, seed)

    def _best(self, asked: _Asked, slot: slots.Slot, seed: int) -> list[records.Proposal]:
        count = self._options.lm_candidates
        if count <= 1 or slot.space is not None or asked.request.operation == "principles":
            return self._answer(asked, slot, seed)
        draws = [
            (temperature, (purpose, (*indices, candidate) if candidate else indices))
            for temperature, (purpose, indices) in asked.draws
            for candidate in range(count)
        ]
        written = self._answer(dataclasses.replace(asked, draws=draws), slot, seed)
        groups = [written[start : start + count] for start in range(0, len(written), count)]
        return [choosing.best(group, asked.request, slot) for group in groups]

    def _answer(self, asked: _Asked, slot: slots.Slot, seed: int) -> list[records.Proposal]:
        model, tokenizer = self._load()
        tokens, opening = causal.tokens_of(tokenizer, asked.prompt, slot)
        soft = self._options.soft_prompt_length if self._soft_prompt else 0
        room = causal.positions(model) - len(tokens) - soft
        if room < 1:
            note = f"the prompt has {len(tokens)} tokens, the model takes {causal.positions(model)}"
            return [records.Proposal(source="", note=note) for _ in asked.draws]
        proposals: list[records.Proposal] = []
        for start in range(0, len(asked.draws), self._options.lm_batch):
            batch = asked.draws[start : start + self._options.lm_batch]
            proposals += self._batch(asked, batch, tokens, room, opening, slot, seed)
        return proposals

    def _batch(
        self,
        asked: _Asked,
        batch: Sequence[tuple[float, tuple[str, tuple[int, ...]]]],
        tokens: Sequence[int],
        room: int,
        opening: str,
        slot: slots.Slot,
        seed: int,
    ) -> list[records.Proposal]:
        from evo_clrs.proposers import sampling

        model, tokenizer = self._load()
        most = min(self._options.max_new_tokens, room)
        words = asked.request.operation == "principles"
        started = time.monotonic()
        try:
            samples = sampling.sample(
                model,
                tokenizer,
                tokens,
                [
                    sampling.Draw(temperature, randomness.generator(seed, purpose, *indices))
                    for temperature, (purpose, indices) in batch
                ],
                most,
                causal.stops(model, tokenizer),
                lambda text: not words and endings.ended(text, slot, opening),
                self._vectors(),
                self._guide(asked, slot) if opening == patches.OPENING else None,
            )
        except (FloatingPointError, RuntimeError) as error:
            what = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self.name}:{self._place} does not run: {what}; try another --lm_dtype or "
                "--lm_device, or a smaller --lm_batch"
            ) from error
        seconds = (time.monotonic() - started) / len(samples)
        return [
            replies.proposal(
                sample.text,
                asked.prompt if opening else "",
                asked.request,
                slot,
                asked.shown,
                cut="" if sample.ended else f"cut off at {most} tokens",
                prompt_tokens=0 if position else len(tokens),
                completion_tokens=sample.tokens,
                seconds=seconds,
            )
            for position, sample in enumerate(samples)
        ]

    def _guide(self, asked: _Asked, slot: slots.Slot) -> guiding.Guide:
        """Returns what keeps edits to lines of the programs shown."""
        if self._pieces is None:
            _, tokenizer = self._load()
            self._pieces = guiding.Pieces(tokenizer)
        wanted = asked.request.targets.get("num_params", 0)
        parents = {parent.source: parent for parent in asked.request.parents}
        counts = [  # a repair also shows what was refused, whose size is not known
            parents[source].metrics.get("num_params", 0) if source in parents else 0
            for source in asked.shown
        ]
        told = [f"{answers.told(wanted / count)}\n" if wanted and count else "" for count in counts]
        return guiding.Guide(self._pieces, asked.shown, slot, told)

    def _vectors(self) -> Any:
        """Returns the soft prompt as it is now, None for none."""
        if self._soft_prompt is None:
            return None
        from evo_clrs.proposers import tuning

        return tuning.vectors(self._soft_prompt)

    def _load(self) -> tuple[Any, Any]:
        """Returns model and tokenizer, loaded once."""
        if self._loaded is None:
            self._loaded = causal.load(self._place, self._options.lm_dtype, self._options.lm_device)
        return self._loaded


def make(place: str, options: Options, folder: Path | None) -> Local:
    """Returns the proposer that samples the model at `place`.

    Raises:
      UserError: there is no such folder, or torch or transformers are not installed.
    """
    if not place:
        raise UserError("--lm=hf needs a model: --lm=hf:FOLDER_OR_ID")
    check_installed("hf", options)
    named_as_path = place.startswith((".", "/", "~")) or place.count("/") > 1
    if (named_as_path or Path(place).exists()) and not (Path(place) / "config.json").is_file():
        raise UserError(f"--lm=hf:{place}: no model there, there is no config.json")
    return Local(place, options, folder)


def check_installed(name: str, options: Options) -> None:
    """Raises UserError, naming the proposer, where a package that it needs is missing."""
    needed = ("torch", "transformers", *(["peft"] if options.tune_lm else []))
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(
            f"--lm={name} needs {' and '.join(missing)}: pip install -e '.[lm]'; --lm=grammar "
            "needs nothing more"
        )
