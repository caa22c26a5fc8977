"""Records as rows and back: what is read equals what was written."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evo_clrs.records import Candidate, Cost, Evaluation, Facts, Parent, Proposal, Repair, Request

# SQLite keeps a str as it is; bytes stand for the rare text that is not valid Unicode.
Text = str | bytes
Row = Sequence[Any]

COSTS = tuple(field.name for field in dataclasses.fields(Cost))
CANDIDATE = ("id", "program", "body", "parents", "request", "sample", "proposer", "edits", "name")
EVALUATION = ("status", "stage", "reason", "metrics", "facts", "seeds", "budget", "reused_from")
_PLAN = ("operation", "kinds", "allowed")  # of a request, kept together as JSON
PROPOSAL = ("edits", "prompt_tokens", "completion_tokens", "seconds")  # after the source


def _plain(value: Any) -> Any:
    """Returns a read-only mapping or a scalar of an array library as plain Python."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"cannot record a {type(value).__name__}: {value!r}")


# Made once: json.dumps with options would build an encoder for every call. Floats are written
# by repr, which is exact; NaN and infinities by name. Records are never circular.
_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_plain
).encode
_decode = json.JSONDecoder().raw_decode  # what `_encode` writes has no spaces around it


def pack(text: str) -> Text:
    """Returns text as SQLite can keep it; lone surrogates, which a model may write, included."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def unpack(text: Text) -> str:
    """Returns what `pack` was given."""
    return text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")


def to_json(value: Any) -> Text:
    """Returns plain data as JSON; floats are exact, NaN and infinities by name."""
    return pack(_encode(value))


def from_json(text: Text) -> Any:
    """Returns what `to_json` was given, with lists for tuples."""
    return _decode(unpack(text))[0]


def digest(text: str) -> bytes:
    """Returns the key of a text in the table `texts`."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _real(value: Any) -> Any:
    return math.nan if value is None else value


def request_row(request: Request, prompt: bytes) -> Row:
    """Returns the row of `requests`, not answered yet."""
    return (
        request.index,
        request.round,
        to_json(request.targets),
        to_json(request.temperatures),
        pack(request.instruction),
        prompt,
        None,
        to_json({name: getattr(request, name) for name in _PLAN}),
    )


def read_request(row: Row, parents: Sequence[Row]) -> Request:
    """Returns the request, from its row without the prompt and its parents' rows."""
    index, round_, targets, temperatures, instruction, plan = row
    told = from_json(plan)
    return Request(
        index=index,
        round=round_,
        parents=tuple(
            Parent(unpack(program), unpack(source), from_json(metrics))
            for program, source, metrics in parents
        ),
        targets=from_json(targets),
        temperatures=tuple(from_json(temperatures)),
        instruction=unpack(instruction),
        operation=told.get("operation", "vary"),
        kinds=tuple(told.get("kinds", ())),
        allowed=tuple(map(tuple, told.get("allowed", ()))),
    )


def proposal_row(proposal: Proposal, source: bytes, reply: bytes | None) -> Row:
    """Returns the part of a row of `proposals` or `repairs` from the source on."""
    return (
        source,
        to_json(proposal.edits),
        proposal.prompt_tokens,
        proposal.completion_tokens,
        proposal.seconds,
        reply,
        pack(proposal.note),
    )


def read_proposal(row: Row) -> Proposal:
    """Returns the proposal from its source, the columns `PROPOSAL`, its reply and its note."""
    source, edits, prompt_tokens, completion_tokens, seconds, reply, note = row
    return Proposal(
        source=unpack(source),
        edits=tuple(from_json(edits)),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        seconds=_real(seconds),
        reply="" if reply is None else unpack(reply),
        note=unpack(note),
    )


def repair_row(repair: Repair, prompt: bytes) -> Row:
    """Returns the part of a row of `repairs` that stands before its proposal."""
    place = repair.request, repair.sample, repair.attempt
    return (*place, pack(repair.reason), prompt, repair.trace_seconds)


def read_repair(row: Row) -> Repair:
    """Returns the repair from the columns before its proposal, and those of the proposal."""
    request, sample, attempt, reason, prompt, trace_seconds = row[:6]
    return Repair(
        request=request,
        sample=sample,
        attempt=attempt,
        reason=unpack(reason),
        prompt=unpack(prompt),
        proposal=read_proposal(row[6:]),
        trace_seconds=_real(trace_seconds),
    )


def candidate_row(candidate: Candidate, source: bytes) -> Row:
    """Returns the row of `candidates`; the evaluation has a table of its own."""
    return (
        candidate.index,
        pack(candidate.program),
        source,
        to_json(candidate.parents),
        candidate.request,
        candidate.sample,
        pack(candidate.proposer),
        to_json(candidate.edits),
        pack(candidate.name),
    )


def read_candidate(row: Row) -> Candidate:
    """Returns the candidate from the columns `CANDIDATE + EVALUATION + COSTS`."""
    index, program, source, parents, request, sample, proposer, edits, name = row[: len(CANDIDATE)]
    return Candidate(
        index=index,
        program=unpack(program),
        source=unpack(source),
        parents=tuple(from_json(parents)),
        request=request,
        sample=sample,
        proposer=unpack(proposer),
        edits=tuple(from_json(edits)),
        name=unpack(name),
        evaluation=_read_evaluation(row[len(CANDIDATE) :]),
    )


def evaluation_row(index: int, evaluation: Evaluation, time: float) -> Row:
    """Returns the row of `evaluations`.

    Args:
      index: of the candidate.
      evaluation: its outcome.
      time: when it was known, in seconds since 1970.
    """
    facts = evaluation.facts
    fitness = evaluation.metrics.get("fitness")
    return (
        index,
        time,
        evaluation.status,
        pack(evaluation.stage),
        pack(evaluation.reason),
        to_json(evaluation.metrics),
        None if facts is None else to_json(vars(facts)),
        to_json(evaluation.seeds),
        to_json(evaluation.budget),
        evaluation.reused_from,
        float(fitness) if fitness is not None and math.isfinite(fitness) else None,
        None if facts is None else pack(facts.fingerprint),
        *(getattr(evaluation.cost, name) for name in COSTS),
    )


def _read_evaluation(row: Row) -> Evaluation | None:
    status, stage, reason, metrics, facts, seeds, budget, reused_from = row[: len(EVALUATION)]
    if status is None:
        return None
    return Evaluation(
        status=status,
        stage=unpack(stage),
        reason=unpack(reason),
        metrics=from_json(metrics),
        facts=None if facts is None else Facts(**from_json(facts)),
        cost=_read_cost(row[len(EVALUATION) :]),
        seeds=tuple(from_json(seeds)),
        budget=from_json(budget),
        reused_from=reused_from,
    )


def _read_cost(row: Row) -> Cost:
    return Cost(*map(_real, row))
