"""Remote models, against a server on loopback that has every fault."""

import dataclasses
import json

import pytest

from evo_clrs import programs, proposers
from evo_clrs.errors import BudgetSpent, Stopped, UserError
from evo_clrs.proposers import prompts, remote
from evo_clrs.proposers.base import Preparer, Refusal, Repairer
from evo_clrs.records import Parent, Request
from evo_clrs.slots import TRIPLET
from tests.proposers import lm_server

pytest.importorskip("openai")

KEY = "sk-canary-5f2b81"
V1 = programs.load("triplet")["v1_standard"]
FENCED = f"Here:\n```python\n{V1}```\n"
SHOWN = Parent("aa", V1, {"num_params": 100, "val_accuracy": 0.5})
REQUEST = Request(0, 0, (SHOWN,), {"num_params": 100}, (0.2, 0.6, 0.8, 1.0))
CHAT = prompts.load("chat").build(REQUEST, TRIPLET)
PAPER = prompts.load("paper").build(REQUEST, TRIPLET)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)


def make(server, folder=None, **options):
    return proposers.make(f"openai:tiny@{server.url}", options, folder)


def propose(model, request=REQUEST, prompt=CHAT):
    return model.propose(request, TRIPLET, prompt, seed=0)


def test_each_sample_is_a_call_with_its_temperature_and_seed():
    with lm_server.serve(FENCED) as server:
        found = propose(make(server))
    assert [proposal.source for proposal in found] == [V1] * 4
    assert found[0].reply == FENCED
    assert sorted(body["temperature"] for body in server.asked) == [0.2, 0.6, 0.8, 1.0]
    assert len({body["seed"] for body in server.asked}) == 4
    assert {body["model"] for body in server.asked} == {"tiny"}
    assert [message["role"] for message in server.asked[0]["messages"]] == ["system", "user"]
    assert server.keys == {f"Bearer {KEY}"}


def test_tokens_and_time_are_those_of_each_call():
    with lm_server.serve(FENCED, delay=0.05) as server:
        found = propose(make(server))
    assert all((p.prompt_tokens, p.completion_tokens) == (100, 20) for p in found)
    assert all(proposal.seconds >= 0.05 for proposal in found)


def test_a_completion_endpoint_goes_on_with_the_prompt():
    body = V1.partition(TRIPLET.opening)[2]
    with lm_server.serve(body) as server:
        found = propose(make(server, endpoint="completions"), prompt=PAPER)
    assert server.asked[0]["prompt"] == PAPER.rstrip("\n")
    assert found[0].source.endswith(TRIPLET.opening + body)


def test_a_round_is_under_way_at_once_and_no_more_than_allowed():
    requests = [dataclasses.replace(REQUEST, index=index) for index in range(5)]
    with lm_server.serve(FENCED, delay=0.1) as server:
        model = make(server, in_flight=8)
        assert isinstance(model, Preparer) and isinstance(model, Repairer)
        model.prepare([(request, CHAT) for request in requests], TRIPLET, 0)
        for request in requests:
            assert len(propose(model, request)) == 4
    assert len(server.asked) == 20
    assert 4 < server.most_at_once <= 8


# What passes.


@pytest.mark.parametrize(
    "fault",
    [
        lm_server.status(429),
        lm_server.status(500),
        lm_server.status(503),
        lm_server.cut,
        lm_server.slow(1.5),
    ],
    ids=["429", "500", "503", "cut", "slow"],
)
def test_what_may_pass_is_tried_again(fault):
    with lm_server.serve(FENCED, {0: fault, 2: fault}) as server:
        found = propose(make(server, request_timeout=1.0))
    assert [proposal.source for proposal in found] == [V1] * 4
    assert len(server.asked) == 6


def test_retry_after_is_honoured():
    faults = {0: lm_server.status(429, **{"Retry-After": "1"})}
    one = dataclasses.replace(REQUEST, temperatures=(0.0,))
    with lm_server.serve(FENCED, faults) as server:
        propose(make(server), one)
    assert 1.0 <= server.times[1] - server.times[0] < 3.0


def test_tries_are_bounded_and_a_lost_reply_costs_itself_only():
    one_fails = {number: lm_server.status(500) for number in range(3)}
    one = dataclasses.replace(REQUEST, temperatures=(0.0,))
    with lm_server.serve(FENCED, one_fails) as server:
        model = make(server, retries=2)
        (lost,) = propose(model, one)
        (found,) = propose(model, dataclasses.replace(one, index=1))
    assert len(server.asked) == 4
    assert lost.source == "" and lost.note == "no reply: HTTP 500: out of order"
    assert found.source == V1


def test_a_server_that_is_gone_ends_the_run_with_one_line():
    faults = dict.fromkeys(range(99), lm_server.status(500))
    many = dataclasses.replace(REQUEST, temperatures=(0.0,) * 20)
    expected = pytest.raises(UserError, match="gives no replies .*HTTP 500.*same command")
    with lm_server.serve(FENCED, faults) as server, expected as caught:
        propose(make(server, retries=0), many)
    assert "\n" not in str(caught.value)


def test_no_server_at_all_is_told_at_once():
    with lm_server.serve(FENCED) as server:
        model = make(server, retries=1)
    with pytest.raises(UserError, match="gives no replies .no reply: Connection error"):
        propose(model)


# What does not pass.


@pytest.mark.parametrize(
    ("code", "message"),
    [(401, "refuses the key in OPENAI_API_KEY .HTTP 401."), (404, "does not know the model")],
)
def test_a_wrong_key_or_model_stops_at_once(code, message):
    faults = dict.fromkeys(range(9), lm_server.status(code, f"no {KEY} here"))
    with (
        lm_server.serve(FENCED, faults) as server,
        pytest.raises(UserError, match=message) as caught,
    ):
        propose(make(server, in_flight=1))
    assert len(server.asked) <= 4  # none is tried again
    assert KEY not in str(caught.value) and "no *** here" in str(caught.value)


# Replies.


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"<html>gateway</html>", "no reply: it is no completion: "),
        (b'{"choices": []}', "no reply: it is no completion: "),
        (b'{"choices": [{"message": {"content": null}}]}', "no reply: it is no completion: "),
        (b"", "no reply: "),
    ],
)
def test_garbage_costs_its_reply_and_not_the_run(data, note):
    with lm_server.serve(FENCED, {0: lm_server.garbage(data)}) as server:
        found = propose(make(server, in_flight=1))
    assert [proposal.source for proposal in found] == ["", V1, V1, V1]
    assert found[0].note.startswith(note)


def test_a_reply_that_was_cut_off_says_so():
    def half(handler):
        handler.complete("length", FENCED[: FENCED.index("(reduced)") + 1])

    with lm_server.serve(FENCED, {0: half}) as server:
        found = propose(make(server, in_flight=1, max_new_tokens=77))
    assert found[0].source == ""
    assert found[0].note == "cut off at 77 tokens: the reply does not end"


def test_a_refused_reply_goes_back_and_its_edits_apply_to_it():
    edit = "<<<<<<< SEARCH\nq = 1\n=======\nr = 2\n>>>>>>> REPLACE"
    with lm_server.serve(edit) as server:
        refusal = Refusal(REQUEST, 1, 0, CHAT, ("q = 1\n", V1))
        (mended,) = make(server).repair([refusal], TRIPLET, seed=0)
    assert mended.source == "r = 2\n"
    assert server.asked[0]["temperature"] == 0.6


# Budgets.


def test_a_token_budget_counts_what_is_under_way_and_stops_before_it_is_overdrawn():
    requests = [dataclasses.replace(REQUEST, index=index) for index in range(20)]
    limit = 12_000
    with lm_server.serve(FENCED, delay=0.02) as server:
        model = make(server, max_tokens=limit, max_new_tokens=500)
        model.prepare([(request, CHAT) for request in requests], TRIPLET, 0)
        most = model._budget.spent + model._budget.under_way
        assert most.prompt_tokens + most.completion_tokens <= limit
        with pytest.raises(BudgetSpent, match="of --max_tokens=12000, .* are spent, and the next"):
            for request in requests:
                propose(model, request)
    assert len(server.asked) * 120 <= limit
    assert len(server.asked) % 4 == 0  # whole requests only


def test_a_money_budget_needs_prices_and_stops():
    with lm_server.serve(FENCED) as server:
        with pytest.raises(UserError, match="--max_cost needs --price_prompt"):
            make(server, max_cost=1.0)
        with pytest.raises(BudgetSpent, match="--max_cost=0.001, 0 are spent"):
            propose(make(server, max_cost=0.001, price_completion=10.0, max_new_tokens=1000))
    assert not server.asked


# What was answered is kept.


def test_answers_are_kept_and_not_paid_for_twice(tmp_path):
    with lm_server.serve(FENCED) as server:
        first = propose(make(server, tmp_path))
        again = propose(make(server, tmp_path))
        assert len(server.asked) == 4
        model = make(server, tmp_path, max_tokens=20_000)
        assert model._budget.spent.prompt_tokens == 400
        propose(model, dataclasses.replace(REQUEST, index=1))
    assert [proposal.source for proposal in again] == [proposal.source for proposal in first]
    assert len(server.asked) == 8


def test_the_key_is_written_nowhere(tmp_path):
    def echo(handler):
        handler.complete(text=f"{FENCED}\n{handler.headers['Authorization']}")

    with lm_server.serve(FENCED, dict.fromkeys(range(9), echo)) as server:
        found = propose(make(server, tmp_path))
    assert all("***" in proposal.reply and KEY not in proposal.reply for proposal in found)
    assert KEY not in (tmp_path / "replies.jsonl").read_text()


def test_a_line_cut_off_by_a_kill_is_asked_again(tmp_path):
    with lm_server.serve(FENCED) as server:
        propose(make(server, tmp_path))
        path = tmp_path / "replies.jsonl"
        path.write_text(path.read_text()[:-9])
        propose(make(server, tmp_path))
    assert len(server.asked) == 5


# OpenAI Batch.


def test_a_round_goes_out_as_a_batch_file_and_on_from_its_answers(tmp_path):
    requests = [dataclasses.replace(REQUEST, index=index) for index in range(2)]
    asked = [(request, CHAT) for request in requests]
    model = remote.make("m", remote.Options(batch=True), tmp_path)
    with pytest.raises(Stopped, match="8 requests are written to .*batch-1.jsonl") as caught:
        model.prepare(asked, TRIPLET, 0)
    assert not isinstance(caught.value, BudgetSpent)
    lines = [json.loads(line) for line in (tmp_path / "batch-1.jsonl").read_text().splitlines()]
    assert {line["method"] for line in lines} == {"POST"}
    assert {line["url"] for line in lines} == {"/v1/chat/completions"}
    assert len({line["custom_id"] for line in lines}) == 8
    assert lines[1]["body"]["temperature"] == 0.6

    choice = {"message": {"content": FENCED}, "finish_reason": "stop"}
    answers = [
        {
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "body": {"choices": [choice]}},
            "error": None,
        }
        for line in reversed(lines)
    ]
    answers[0] |= {"response": None, "error": {"code": "batch_expired", "message": "too late"}}
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    (tmp_path / "batch-1.answers.jsonl").write_text(text)
    model = remote.make("m", remote.Options(batch=True), tmp_path)
    model.prepare(asked, TRIPLET, 0)
    assert [proposal.source for proposal in propose(model, requests[0])] == [V1] * 4
    last = propose(model, requests[1])
    assert [proposal.source for proposal in last] == [V1, V1, V1, ""]
    assert last[3].note == "no reply: too late"


def test_a_batch_that_waits_is_not_written_twice(tmp_path):
    for _ in range(2):
        with pytest.raises(Stopped, match="batch-1.jsonl"):
            propose(remote.make("m", remote.Options(batch=True), tmp_path))
    assert [path.name for path in tmp_path.glob("batch*")] == ["batch-1.jsonl"]


def test_an_answers_file_that_is_none_is_told(tmp_path):
    (tmp_path / "batch-1.answers.jsonl").write_text("\nnot json\n")
    with pytest.raises(UserError, match="batch-1.answers.jsonl, line 2: not an answer"):
        remote.make("m", remote.Options(batch=True), tmp_path)


# Flags.


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("", "needs a model and a URL"),
        ("m@http://", "needs a model and a URL"),
        ("m@https://user:word@host/v1", "would be kept in flags.txt"),
        ("m@https://host/v1?api-key=1", "would be kept in flags.txt"),
        (f"m@http://host/{KEY}", "holds the value of OPENAI_API_KEY"),
    ],
)
def test_a_place_that_cannot_be_asked_is_told(place, message):
    with pytest.raises(UserError, match=message) as caught:
        proposers.make(f"openai:{place}")
    assert KEY not in str(caught.value) and "word" not in str(caught.value)


def test_openais_own_server_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="set OPENAI_API_KEY in the environment"):
        proposers.make("openai:gpt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "responses"}, "--endpoint must be one of chat, completions"),
        ({"in_flight": 0}, "--in_flight must be above zero, got 0"),
        ({"max_tokens": -1}, "--max_tokens must be 0 or more, got -1"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(UserError, match=message):
        proposers.make("openai:m@http://localhost/v1", options)
