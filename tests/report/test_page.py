"""The page needs nothing else, and what programs wrote cannot act in it."""

import html.parser
import io
import re
import shutil

import pytest
import rich.console

from evo_clrs.errors import UserError
from evo_clrs.records import Candidate, Cost, Evaluation, Parent, Proposal, Request
from evo_clrs.report import report
from evo_clrs.report.code import differences, plain
from evo_clrs.report.page import page
from evo_clrs.report.tables import print_tables, show_result
from evo_clrs.report.text import clean, duration, number
from evo_clrs.store import Store

HOSTILE = (
    "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>\"'&amp;"
    "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\link\x9b2J\u202e"
    "[bold red]b[/bold red][/]\r\x08\x00\ud800"
)


class Reader(html.parser.HTMLParser):
    """Keeps tags, attributes and text, and checks that tags are closed."""

    VOID = ("meta", "br", "img", "link", "!doctype")

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = set(), [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def console_of(width):
    return rich.console.Console(record=True, width=width, file=io.StringIO())


def hostile_store():
    """A run in which everything that can be a text is hostile."""
    store = Store.in_memory({key: HOSTILE for key in ("problem", "task", "lm", HOSTILE)})
    metrics = {"fitness": -2.0, "num_params": 5.0, "val_accuracy": 0.5, HOSTILE: 1.0}
    store.record_candidate(
        Candidate(
            0,
            HOSTILE,
            HOSTILE,
            name=HOSTILE,
            evaluation=Evaluation("scored", "scored", "", metrics),
        )
    )
    parent = Parent(HOSTILE, HOSTILE, metrics)
    store.record_request(Request(0, 0, (parent,), {}, (0.1,), HOSTILE), HOSTILE)
    store.record_proposals(0, (Proposal(HOSTILE, (HOSTILE,)),) * 2)
    better = Evaluation("scored", "scored", "", {**metrics, "fitness": -1.0}, cost=Cost(1.0))
    child = Candidate(1, "child", HOSTILE + "\n", (HOSTILE,), 0, 0, HOSTILE, (HOSTILE,))
    store.record_candidate(child)
    store.record_evaluation(1, better)
    store.record_candidate(Candidate(2, "", HOSTILE, (HOSTILE,), 0, 1, HOSTILE, (HOSTILE,)))
    store.record_evaluation(2, Evaluation("rejected", "trace", HOSTILE))
    store.record_event(HOSTILE, {HOSTILE: HOSTILE})
    store.record_event("selection", {"candidate": 1, "metrics": {**metrics, "accuracy": 0.4}})
    return store


def check_harmless(text):
    reader = Reader(text)
    assert not reader.open
    assert not reader.tags & {"script", "img", "link", "iframe", "object", "a", "base", "form"}
    names = {name for name, _ in reader.attributes}
    assert not [name for name in names if name.startswith("on")]
    assert not names & {"src", "href", "srcset", "xlink:href", "data", "action"}
    assert "@import" not in text and "url(" not in text
    return reader


def test_the_page_of_a_run_needs_nothing_else(run):
    with Store.read(run) as store:
        text = page(store)
    reader = check_harmless(text)
    assert not re.search(r"https?:", text)
    words = " ".join(reader.words)
    for heading in (
        "Best over time",
        "Size against score",
        "Seeds against the best",
        "Where proposals ended",
        "Why programs were rejected",
        "Family tree of the best program",
        "Code of the best program",
        "Kinds of edits",
        "Ledger",
        "Settings",
    ):
        assert heading in words
    assert "articulation_points" in words and "triplet_gmpnn" in words
    assert "trained again from fresh seeds" in words.lower()
    assert text.count("<svg") >= 6


def test_what_a_program_wrote_cannot_act_in_the_page():
    with hostile_store() as store:
        text = page(store)
    reader = check_harmless(text)
    assert "&lt;script&gt;" in text
    assert "alert" in "".join(reader.words)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    text.encode()


def test_what_a_program_wrote_cannot_act_in_the_terminal():
    with hostile_store() as store:
        console = console_of(200)
        print_tables(store, console)
        show_result(store, console)
        text = console.export_text()
    assert "[bold red]b" in text.replace("…", "")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
    assert "2J" not in text and "title" not in text


def test_terminal_sequences_go_whole():
    assert clean("a\x1b[1;31mb\x1b[0mc\x1b]0;t\x07d\x1b]8;;x\x1b\\e\x1bcf\x9b2Jg") == "abcdefg"
    assert clean("two\nlines\tand ü → 漢") == "two\nlines\tand ü → 漢"


def test_tables_say_what_the_summary_says(run):
    with Store.read(run) as store:
        console = console_of(140)
        print_tables(store, console)
        text = console.export_text()
        counts = store.stage_counts()
        best = store.best()
    assert f"Where {sum(counts.values())} proposals ended" in text
    assert best.program[:8] in text and number(best.evaluation.metrics["fitness"]) in text
    assert "selection accuracy" in text
    assert "imports os, which is not on the list" in text


def test_without_a_selection_the_search_scores_are_shown_as_such():
    with hostile_store() as store:
        console = console_of(140)
        show_result(store, console)
        assert "selection accuracy" in console.export_text()
    with Store.in_memory({}) as store:
        metrics = {"fitness": -2.0, "num_params": 5.0, "val_accuracy": 0.5}
        evaluation = Evaluation("scored", "scored", "", metrics)
        store.record_candidate(Candidate(0, "p", "", name="v1", evaluation=evaluation))
        console = console_of(140)
        show_result(store, console)
        text = console.export_text()
    assert "in the search so far" in text and "validation accuracy" in text


def test_a_run_that_has_just_begun_has_a_page():
    with Store.in_memory({"task": "bfs"}) as store:
        check_harmless(page(store))
        store.record_candidate(Candidate(0, "p", "s", name="v1"))
        text = page(store)
    check_harmless(text)
    assert "Best over time" not in text


def test_report_writes_the_page_while_the_run_goes_on(run, tmp_path):
    with Store.open(run, {}, may_differ=tuple(Store.read(run).identity)):
        quiet = console_of(100)
        path = report(run, tmp_path / "page.html", quiet)
        assert path.read_text().startswith("<!doctype html>")
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    assert report(copy, console=quiet) == copy / "report.html"
    with pytest.raises(UserError, match="no run in"):
        report(tmp_path / "none", console=quiet)


def test_a_diff_shows_the_whole_child_and_what_was_dropped():
    text = differences("against v1", "a\nb\nc\n", "a\nB\nc\nd\n", shown=True)
    assert "+2" in text and "−1" in text
    lines = re.findall(r'<span class="(\w*)"><i>([^<]*)</i>([^<]*)</span>', text)
    assert lines == [
        ("", "1", "a"),
        ("cut", "−", "b"),
        ("add", "+ 2", "B"),
        ("", "3", "c"),
        ("add", "+ 4", "d"),
    ]
    assert plain("x < 1\n") == '<pre><span class=""><i>1</i>x &lt; 1</span></pre>'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (59.99, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(11448, "11,448"), (0.865, "0.8650"), (-1204.4, "-1,204"), (1.2e-5, "1.2e-05"), (None, "–")],
)
def test_numbers(value, words):
    assert number(value) == words
