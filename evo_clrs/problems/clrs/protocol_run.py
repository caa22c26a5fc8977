"""The full protocol: programs trained on tasks from seeds, each scored once on test.

The way of a program is that of a search: static gate, jail, graph gate, trainer, scorer; but the
parameters of its best validation are scored on test data, and each reading of those is recorded.
A folder keeps the results as JSON lines, the readings, and a checkpoint of each training: what was
finished is not done again, and what was not is gone on with and ends as if never stopped.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from evo_clrs import program, results
from evo_clrs.errors import Rejected, UserError
from evo_clrs.gates import static
from evo_clrs.jail.jail import Jail
from evo_clrs.problems import traced
from evo_clrs.problems.clrs import problem as clrs_problem
from evo_clrs.problems.clrs import setting, tasks
from evo_clrs.problems.clrs.keeping import Keeper, Limits, Readings, Stopped, Watch, now
from evo_clrs.problems.clrs.prepared import Prepared, prepare
from evo_clrs.problems.clrs.setting import Options, Setting
from evo_clrs.results import Result
from evo_clrs.slots import SLOTS
from evo_clrs.training.checkpoints import Checkpoints

READINGS = "test_readings.jsonl"


@dataclasses.dataclass(frozen=True)
class Program:
    """A program with what people call it.

    Attributes:
      name: e.g. `triplet_gmpnn`.
      slot: name of the slot that it fills.
      source: its text.
    """

    name: str
    slot: str
    source: str

    @property
    def identity(self) -> str:
        """Its identity; the static gate has seen to it that it has one."""
        return program.identity(self.source)


class ProtocolRun:
    """Trainings under one protocol, kept in one folder."""

    def __init__(
        self,
        folder: Path,
        options: Options,
        protocol: tasks.Protocol,
        jail: Jail,
        watch: Watch,
        limits: Limits,
        setting: Setting,
    ):
        """Takes up where the folder stands.

        Args:
          folder: an existing folder.
          options: budget; its task and slot do not matter.
          protocol: which data.
          jail: where programs are traced.
          watch: is told what goes on.
          limits: when to stop.
          setting: what it runs on.

        Raises:
          UserError: the results in the folder are damaged, or made with other options or versions.
        """
        self._folder = folder
        self._options = options
        self._protocol = protocol
        self._jail = jail
        self._watch = watch
        self._limits = limits
        self._setting = setting
        self._results = folder / results.FILE
        self._known = {found.key: found for found in results.latest(results.read(self._results))}

    def run(self, program: Program, tasks: Sequence[str], seeds: Sequence[int]) -> Iterator[Result]:
        """Yields the result of each task and seed, in order; what is on record is not repeated.

        Raises:
          Stopped: the time is over, and a checkpoint is kept.
          UserError: the program does not pass the static gate, or what is in the folder is of
            another program, of other options, or damaged.
        """
        check_text(program)
        for task in tasks:
            options = dataclasses.replace(self._options, task=task, slot=program.slot)
            known = {seed: self._known.get((program.identity, task, seed)) for seed in seeds}
            for found in filter(None, known.values()):
                self._check_known(found, options)
            missing = [seed for seed, held in known.items() if not _finished(held)]
            with contextlib.closing(self._train(program, options, missing)) as made:
                for held in known.values():
                    result = held if held is not None and _finished(held) else next(made)
                    self._watch.finished(result)
                    yield result

    def _check_known(self, found: Result, options: Options) -> None:
        """Raises UserError where a result in the folder is one of other options or versions."""
        identity = self._setting.identity(options, self._protocol)
        held = {**setting.shaping(found.options), **setting.versions_told(found.versions)}
        differing = [
            f"{name} {held[name]!r}, asked for {identity[name]!r}"
            for name in identity
            if name in held and held[name] != identity[name]
        ]
        if differing:
            raise UserError(
                f"{self._results} holds {found.name} on {found.task} from seed {found.seed} with "
                f"{'; '.join(differing)}: choose another --out or give the same flags"
            )

    def _train(
        self, program: Program, options: Options, seeds: Sequence[int]
    ) -> Generator[Result, None, None]:
        """Yields a new result for each seed; does nothing before it is asked for one."""
        blank = self._blank(program, options)
        if self._limits.over:
            raise Stopped
        with traced.forgetting(), jax.default_matmul_precision(options.matmul_precision):
            readings = Readings(self._folder / READINGS, blank)
            problem = clrs_problem.ClrsProblem(options, self._protocol, readings.record)
            self._watch.doing(f"tracing {program.name} for {options.task}")
            prepared, reason = None, ""
            try:
                prepared = prepare(problem, self._jail, program.source)
                reason = prepared.reason
                blank = dataclasses.replace(blank, **prepared.facts)
                if not reason:
                    self._watch.doing(f"compiling {program.name} for {options.task}")
                    with _failing():
                        prepared.compile(self._limits.memory_bytes)
            except Rejected as rejection:
                reason = str(rejection)
            for seed in seeds:
                if self._limits.over:
                    raise Stopped
                begun = dataclasses.replace(blank, seed=seed)
                if reason or prepared is None:
                    yield self._keep(begun, status="failed", reason=reason)
                else:
                    yield self._training(prepared, begun, options, readings)

    def _training(
        self, prepared: Prepared, blank: Result, options: Options, readings: Readings
    ) -> Result:
        """Returns the result of one training, which is kept."""
        title = f"{blank.name}-{blank.task}-seed{blank.seed}"
        identity = self._setting.identity(options, self._protocol)
        identity = {"program": blank.program, "seed": blank.seed, **identity}
        with Checkpoints(self._folder / "checkpoints" / title, identity) as checkpoints:
            kept = checkpoints.latest(prepared.shapes())
            keeper = Keeper(checkpoints, kept, self._limits, self._watch, prepared)
            self._watch.begin(title, keeper.step)
            try:
                with _failing(), keeper.interruptible():
                    outcome = prepared.train(blank.seed, kept and kept.outcome, keeper.called)
                    self._watch.doing(f"scoring {title} on test")
                    readings.next(blank.seed)
                    scores = prepared.score(outcome, blank.seed, self._limits.memory_bytes)
            except Stopped:
                self._keep(blank, **keeper.told(), status="incomplete", reason="the time was over")
                raise
            except Rejected as rejection:
                return self._keep(blank, **keeper.told(), status="failed", reason=rejection.reason)
            test = scores.pop("score")
            told = {**keeper.told(), "test": test, "test_outputs": scores}
            return self._keep(blank, **told, status="scored")

    def _blank(self, program: Program, options: Options) -> Result:
        """Returns a result that holds all but what the training gives."""
        return Result(
            program=program.identity,
            name=program.name,
            slot=program.slot,
            task=options.task,
            seed=0,
            status="failed",
            options=setting.all_options(options, self._protocol),
            full_protocol=setting.is_published(options, self._protocol),
            device=self._setting.device,
            platform=self._setting.platform,
            precision=options.matmul_precision,
            versions=self._setting.versions,
            xla_flags=self._setting.xla_flags,
            command=self._setting.command,
        )

    def _keep(self, blank: Result, **told: Any) -> Result:
        """Completes a result and appends it to the folder's."""
        result = dataclasses.replace(blank, **told, finished=now())
        results.append(self._results, result)
        self._known[result.key] = result
        return result


def _finished(held: Result | None) -> bool:
    return held is not None and held.status != "incomplete"


def check_text(program: Program) -> None:
    """Takes a program through the static gate.

    Raises:
      UserError: it does not pass.
    """
    try:
        static.check(program.source, SLOTS[program.slot])
    except Rejected as rejection:
        raise UserError(f"program {program.name}: {rejection.reason}") from None


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """Turns what compiler and device raise into a rejection: it costs one training."""
    try:
        yield
    except (Rejected, UserError, Stopped):
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        if "RESOURCE_EXHAUSTED" in words:
            words = f"out of device memory: {words}"
        reason = "".join(letter for letter in words if letter.isprintable())
        raise Rejected("failed", reason) from error
