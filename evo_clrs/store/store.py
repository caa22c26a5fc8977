"""The record of a run: everything asked, answered, rejected, measured and spent.

Each `record_...` call is one transaction: when it returns, the step is kept, and a kill at any
point leaves a prefix of the steps. What is read back equals what was written. A store belongs to
one thread of one process.
"""

import dataclasses
import os
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError
from evo_clrs.records import (
    STAGES,
    Candidate,
    Cost,
    Evaluation,
    Proposal,
    Repair,
    Request,
)
from evo_clrs.store import files, opening, rows, schema, steps
from evo_clrs.store.opening import Identity

_CANDIDATES = (
    f"SELECT {', '.join(rows.CANDIDATE + rows.EVALUATION + rows.COSTS)} FROM candidates "
    "JOIN texts ON digest = source LEFT JOIN evaluations ON candidate = id"
)
# Candidate, time, fitness and fingerprint stand beside what is read back.
_MARKS = ", ".join("?" * (4 + len(rows.EVALUATION + rows.COSTS)))
_INSERT_EVALUATION = f"INSERT INTO evaluations VALUES ({_MARKS})"


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to the run as a whole: a start, a resume, a reading of test.

    Attributes:
      kind: what, e.g. `resume`.
      data: particulars, plain JSON data (tuples come back as lists).
      time: when, in seconds since 1970; for people only.
    """

    kind: str
    data: Mapping[str, Any]
    time: float


class Store:
    """A run's record, in `run.sqlite` of its folder or in memory; close it or use `with`."""

    def __init__(
        self, connection: sqlite3.Connection, folder: Path | None, lock: int | None = None
    ):
        """For `open`, `read` and `in_memory`; takes an open connection with its tables made."""
        self.folder = folder
        self._name = "the run in memory" if folder is None else str(folder / files.DATABASE)
        self.identity: dict[str, Any] = opening.read_identity(connection)
        self._connection = connection
        self._version = schema.version(connection)
        self._lock = lock
        # Most that is looked up was never recorded: what lies beyond these is not even looked for.
        self._last_request = self._last("requests")
        self._last_candidate = self._last("candidates")

    @classmethod
    def open(
        cls,
        folder: Path,
        identity: Identity,
        create: bool = True,
        may_differ: Collection[str] = (),
    ) -> "Store":
        """Opens a run for this process alone, or starts it.

        Args:
          folder: the run folder, made if need be.
          identity: what the run is: problem, task, slot, strategy, lm, seed, versions and every
            flag that shapes its results.
          create: whether to start a run where there is none.
          may_differ: keys whose value a resumed run may change; the first value stays recorded.

        Raises:
          UserError: the folder holds another run, is open in another process, cannot be written,
            is damaged, comes from a later version, or (without `create`) holds no run.
        """
        folder = Path(folder)
        database = folder / files.DATABASE
        if not create and not database.exists():
            raise UserError(f"no run in {folder}: there is no {files.DATABASE}")
        with files.explaining(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = files.lock_folder(folder)
        try:
            with files.explaining(database):
                connection = opening.connect(str(database))
                opening.prepare(connection, folder, identity, may_differ)
            return cls(connection, folder, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def read(cls, folder: Path) -> "Store":
        """Opens a run to read it as it is now; another process may be writing to it.

        Raises:
          UserError: there is no run, or it is damaged or from a later version.
        """
        folder = Path(folder)
        database = folder / files.DATABASE
        if not database.exists():
            raise UserError(f"no run in {folder}: there is no {files.DATABASE}")
        query = "?mode=ro"
        if not os.access(folder, os.W_OK) and not (folder / files.LOG).exists():
            query += "&immutable=1"  # WAL files cannot be made there, and nobody writes
        with files.explaining(database):
            connection = opening.connect(database.absolute().as_uri() + query)
            if schema.is_new(connection):
                raise UserError(f"no run in {folder}: {files.DATABASE} is empty")
            schema.check(connection, database)
            connection.execute("BEGIN")  # all reads see one moment, from the first on
            return cls(connection, folder)

    @classmethod
    def in_memory(cls, identity: Identity) -> "Store":
        """Starts a run that is kept in memory only."""
        connection = opening.connect(":memory:")
        opening.start(connection, identity)
        return cls(connection, None)

    def close(self) -> None:
        """Closes the database and lets the folder go."""
        self._connection.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Writing: one transaction each.

    def record_request(self, request: Request, prompt: str) -> None:
        """Records what was asked, and the prompt built for it."""
        with self._step(f"request {request.index}") as connection:
            asked, *sources = self._keep(prompt, *(parent.source for parent in request.parents))
            row = rows.request_row(request, asked)
            connection.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.executemany(
                "INSERT INTO parents VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        request.index,
                        position,
                        rows.pack(parent.program),
                        source,
                        rows.to_json(parent.metrics),
                    )
                    for position, (parent, source) in enumerate(
                        zip(request.parents, sources, strict=True)
                    )
                ],
            )
        self._last_request = max(self._last_request, request.index)

    def record_proposals(self, request_index: int, proposals: Sequence[Proposal]) -> None:
        """Records all replies to a request at once, so that it is answered wholly or not."""
        with self._step(f"replies to request {request_index}") as connection:
            answered = connection.execute(
                "UPDATE requests SET answers = ? WHERE id = ? AND answers IS NULL",
                (len(proposals), request_index),
            )
            if answered.rowcount != 1:
                raise ValueError(f"request {request_index} is unknown, or answered already")
            connection.executemany(
                "INSERT INTO proposals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (request_index, sample, *self._keep_proposal(proposal))
                    for sample, proposal in enumerate(proposals)
                ],
            )

    def record_repairs(self, repairs: Sequence[Repair]) -> None:
        """Records refused replies that were sent back, and the answers, all at once."""
        with self._step("repairs") as connection:
            connection.executemany(
                "INSERT INTO repairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (*rows.repair_row(r, *self._keep(r.prompt)), *self._keep_proposal(r.proposal))
                    for r in repairs
                ],
            )

    def record_candidate(self, candidate: Candidate) -> None:
        """Records a program with its provenance, and its evaluation if it has one already."""
        with self._step(f"candidate {candidate.index}") as connection:
            row = rows.candidate_row(candidate, *self._keep(candidate.source))
            connection.execute("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            if candidate.evaluation is not None:
                self._insert_evaluation(candidate.index, candidate.evaluation)
        self._last_candidate = max(self._last_candidate, candidate.index)

    def record_evaluation(self, index: int, evaluation: Evaluation) -> None:
        """Records the outcome of the candidate with this index."""
        with self._step(f"evaluation of candidate {index}"):
            self._insert_evaluation(index, evaluation)

    def record_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Records something that happened to the run as a whole."""
        with self._step(f"event {kind}") as connection:
            connection.execute(
                "INSERT INTO events (time, kind, data) VALUES (?, ?, ?)",
                (time.time(), rows.pack(kind), rows.to_json(data)),
            )

    def add_seconds(self, wall: float) -> None:
        """Adds wall-clock seconds of work to the ledger; they add up over resumes."""
        with self._step("clock") as connection:
            connection.execute("UPDATE clock SET wall_seconds = wall_seconds + ?", (float(wall),))

    # Reading.

    def request(self, index: int) -> tuple[Request, str] | None:
        """Returns a request and its prompt, None if it was not recorded."""
        if index > self._last_request:
            return None
        plan = "plan" if self._version > 1 else "'{}'"
        found = self._query(
            f"SELECT id, round, targets, temperatures, instruction, {plan}, body FROM requests "
            "JOIN texts ON digest = prompt WHERE id = ?",
            (index,),
        )
        if not found:
            return None
        parents = self._query(
            "SELECT program, body, metrics FROM parents JOIN texts ON digest = source "
            "WHERE request = ? ORDER BY position",
            (index,),
        )
        *row, prompt = found[0]
        return rows.read_request(row, parents), rows.unpack(prompt)

    def proposals(self, request_index: int) -> tuple[Proposal, ...] | None:
        """Returns the replies to a request, None if it was not answered yet."""
        if request_index > self._last_request:
            return None
        asked = self._query("SELECT answers FROM requests WHERE id = ?", (request_index,))
        if not asked or asked[0][0] is None:
            return None
        told = "answer.body, note" if self._version > 2 else "NULL, ''"
        answer = "LEFT JOIN texts AS answer ON answer.digest = reply " if self._version > 2 else ""
        found = self._query(
            f"SELECT program.body, {', '.join(rows.PROPOSAL)}, {told} FROM proposals "
            f"JOIN texts AS program ON program.digest = source {answer}"
            "WHERE request = ? ORDER BY sample",
            (request_index,),
        )
        return tuple(map(rows.read_proposal, found))

    def repairs(self, request_index: int) -> list[Repair]:
        """Returns the replies to a request that were sent back, by sample and attempt."""
        if self._version < 3:
            return []
        found = self._query(
            "SELECT request, sample, attempt, reason, asked.body, trace_seconds, program.body, "
            f"{', '.join(rows.PROPOSAL)}, answer.body, note FROM repairs "
            "JOIN texts AS asked ON asked.digest = prompt "
            "JOIN texts AS program ON program.digest = source "
            "LEFT JOIN texts AS answer ON answer.digest = reply "
            "WHERE request = ? ORDER BY sample, attempt",
            (request_index,),
        )
        return list(map(rows.read_repair, found))

    def candidate(self, index: int) -> Candidate | None:
        """Returns a candidate with its evaluation, None if it was not recorded."""
        if index > self._last_candidate:
            return None
        found = self._query(f"{_CANDIDATES} WHERE id = ?", (index,))
        return rows.read_candidate(found[0]) if found else None

    def candidates(self) -> list[Candidate]:
        """Returns all candidates in order, with their evaluations."""
        return list(map(rows.read_candidate, self._query(f"{_CANDIDATES} ORDER BY id")))

    def events(self, kind: str | None = None) -> list[Event]:
        """Returns what happened, in order; all of it, or one kind."""
        found = self._query(
            "SELECT kind, data, time FROM events WHERE ?1 IS NULL OR kind = ?1 ORDER BY id",
            (None if kind is None else rows.pack(kind),),
        )
        return [Event(rows.unpack(k), rows.from_json(data), when) for k, data, when in found]

    def find_program(self, identity: str) -> int | None:
        """Returns the index of the first candidate that is this program, None if there is none."""
        return self._query(
            "SELECT min(id) FROM candidates WHERE program = ?", (rows.pack(identity),)
        )[0][0]

    # What a summary needs, added up by the database.

    def stage_counts(self) -> dict[str | None, int]:
        """Returns how many proposals ended at each stage (None: under way); seeds not counted."""
        found = self._query(
            "SELECT stage, count(*) FROM candidates LEFT JOIN evaluations ON candidate = id "
            "WHERE request IS NOT NULL GROUP BY stage"
        )
        return {None if stage is None else rows.unpack(stage): count for stage, count in found}

    def best(self, seeds_only: bool = False) -> Candidate | None:
        """Returns the scored candidate of highest finite fitness, the first of equals.

        One whose training was stopped early comes after all that were trained in full.
        """
        among = "AND request IS NULL " if seeds_only else ""
        found = self._query(
            f"{_CANDIDATES} WHERE status = 'scored' AND fitness IS NOT NULL {among}"
            "ORDER BY json_extract(budget, '$.planned_steps') IS NOT NULL, fitness DESC, id LIMIT 1"
        )
        return rows.read_candidate(found[0]) if found else None

    def cost(self) -> Cost:
        """Returns what the run has spent: replies (language model), evaluations, and events.

        The language-model fields of an evaluation's cost repeat those of its proposal, and are
        not counted again. An event counts if its data holds a `cost`, as a selection does.
        """
        replies = self._query(
            "SELECT total(seconds), coalesce(sum(prompt_tokens), 0), "
            "coalesce(sum(completion_tokens), 0) FROM proposals"
        )[0]
        steps = self._query(
            "SELECT total(trace_seconds), total(compile_seconds), total(train_seconds), "
            "total(score_seconds) FROM evaluations"
        )[0]
        spent = Cost(*replies, *steps)
        if self._version > 2:
            mended = self._query(
                "SELECT total(seconds), coalesce(sum(prompt_tokens), 0), "
                "coalesce(sum(completion_tokens), 0), total(trace_seconds) FROM repairs"
            )[0]
            spent += Cost(*mended)
        for event in self.events():
            if "cost" in event.data:
                spent += Cost(**event.data["cost"])
        return spent

    def wall_seconds(self) -> float:
        """Returns the wall-clock seconds of work so far, over all resumes."""
        return self._query("SELECT wall_seconds FROM clock")[0][0]

    def _step(self, what: str) -> steps.Step:
        return steps.Step(self._connection, what, self._name)

    def _query(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise files.explain(error, self._name) from error

    def _last(self, table: str) -> int:
        """Returns the highest index that a table holds, -1 if it is empty."""
        highest = self._query(f"SELECT max(id) FROM {table}")[0][0]
        return -1 if highest is None else int(highest)

    def _keep(self, *texts: str) -> list[bytes]:
        """Keeps each text once and returns their keys."""
        kept = [(rows.digest(text), rows.pack(text)) for text in texts]
        self._connection.executemany("INSERT INTO texts VALUES (?, ?) ON CONFLICT DO NOTHING", kept)
        return [key for key, _ in kept]

    def _keep_proposal(self, proposal: Proposal) -> rows.Row:
        replied = (proposal.reply,) if proposal.reply else ()
        source, *reply = self._keep(proposal.source, *replied)
        return rows.proposal_row(proposal, source, reply[0] if reply else None)

    def _insert_evaluation(self, index: int, evaluation: Evaluation) -> None:
        if evaluation.stage not in STAGES:
            raise ValueError(f"stage: expected one of {sorted(STAGES)}, got {evaluation.stage!r}")
        row = rows.evaluation_row(index, evaluation, time.time())
        self._connection.execute(_INSERT_EVALUATION, row)
