"""Nothing that a program or a model wrote acts in a terminal, a page or a file that people open."""

import ast
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import rich.console

from evo_clrs import experiment, problems, programs, strategies
from evo_clrs.errors import Rejected, UserError
from evo_clrs.executors.inline import InlineExecutor
from evo_clrs.gates import static
from evo_clrs.records import Candidate, Evaluation, Proposal
from evo_clrs.report.page import page
from evo_clrs.report.progress import Progress
from evo_clrs.report.tables import print_tables, show_result
from evo_clrs.slots import CELL, PROCESSOR
from evo_clrs.store import Store, write_best, write_summary
from launch import runs
from tests.problems.cells.tables import BEST_CIFAR10, write_cells

ROOT = Path(__file__).resolve().parents[2]
GMPNN = programs.load("processor")["gmpnn"]
ACTING = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;",
    "colour": "\x1b[31;5mred\x1b[0m",
    "clear": "\x1b[2J\x1b[1;1H",
    "title": "\x1b]0;title\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\link",
    "answer": "\x1b[6n\x1bP+q\x1b\\",
    "single": "\x9b2J\x9d0;title\x9c",
    "return": "rejected\rscored  ",
    "newline": "one\ntwo\r\n__import__('os')\x0bx\x85y\u2028z",
    "back": "\x08\x08\x7f",
    "bidi": "\u202ereversed\u2066\u200f",
    "null": "a\x00b",
    "surrogate": "\ud800 \udfff",
    "markup": "[bold red]b[/bold red][/][link=http://evil.example]x[/link]",
    "format": "{0.__class__} %s %(x)s ${HOME}",
    "long": "x" * 200_000,
}
ALL = "".join(ACTING.values())
# Controls but tab and line feed; what turns text around; surrogates.
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def check_terminal(text: str) -> None:
    """Checks text that went to a terminal."""
    assert not HARMFUL.search(text)


def check_page(text: str) -> None:
    """Checks a page: no element or attribute but our own."""
    assert not HARMFUL.search(text)
    assert not re.search(r"<(script|img|a|link|iframe|object|form|base|input)\b", text)
    for tag in re.findall(r"<[a-z][^>]*>", text):
        assert not re.search(r"\s(on\w+|src|href|action)\s*=", tag), tag
    text.encode()


class Hostile:
    """A proposer that answers with designs wrapped in what would act, and with nothing but that."""

    name = "hostile\x1b[31m<script>"

    def propose(self, request, slot, prompt, seed):
        design = slot.space.write(slot.space.from_arch(BEST_CIFAR10))
        harmless = "[bold]<script>alert(1)</script> {0.__class__} é → 漢"
        sources = [design + f"# {harmless}\n", design + f"# {ALL}\n", ALL, *ACTING.values()]
        return [Proposal(source, (ALL, *ACTING.values())) for source in sources]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A search whose proposer is hostile, from start to end; with what progress showed."""
    home = tmp_path_factory.mktemp("hostile")
    options = {"table": write_cells(home / "cifar10.json", "cifar10"), "seeds": ("resnet",)}
    problem = problems.make("nasbench201", options)
    chosen = {"rounds": 2, "prompts_per_round": 1, "samples_per_prompt": len(ACTING) + 3}
    shown = io.StringIO()
    identity = {"problem": "nasbench201", "strategy": "evoprompting"}
    progress = Progress(stream=shown)
    with Store.open(home / "run", identity) as store, progress:
        experiment.Experiment(
            problem,
            strategies.make("evoprompting", {**chosen, "max_error": 1.0}, seed=0),
            Hostile(),
            InlineExecutor(problem, None),
            None,
            store,
            progress,
            experiment.Settings(finalists=1, selection_trainings=1),
        ).run()
    return home / "run", shown.getvalue()


def test_a_hostile_proposer_is_recorded_as_it_answered(hostile):
    with Store.read(hostile[0]) as store:
        children = [c for c in store.candidates() if c.request == 0]
    assert [child.source for child in children][2:] == [ALL, *ACTING.values()]
    assert [child.evaluation.stage for child in children[:3]] == ["scored", "static", "static"]


def test_its_progress_tables_and_page_are_harmless(hostile):
    folder, shown = hostile
    assert "scored" in shown
    check_terminal(shown)
    with Store.read(folder) as store:
        console = rich.console.Console(record=True, width=120, file=io.StringIO())
        print_tables(store, console)
        show_result(store, console)
        text = console.export_text()
        check_terminal(text)
        assert len(text.splitlines()) < 400
        check_page(page(store))


def test_its_best_program_is_what_people_see(hostile):
    text = (hostile[0] / "best.py").read_text()
    assert not HARMFUL.search(text)
    assert "# [bold]<script>alert(1)</script>" in text
    ast.parse(text)
    assert not HARMFUL.search((hostile[0] / "summary.json").read_text())


@pytest.mark.parametrize("kind", ACTING)
def test_every_text_of_a_record_is_harmless_where_it_is_shown(kind, tmp_path):
    """Even where no search would write it: a record may come from anybody."""
    words = ACTING[kind]
    identity = {name: words for name in ("problem", "task", "slot", "lm")}
    metrics = {"fitness": 1.0, "num_params": 5.0, "val_accuracy": 0.5, words: 1.0}
    with Store.open(tmp_path / "run", identity) as store:
        store.record_event("start", {"remark": words, "jail": [words], words: words})
        store.record_event("principles", {"text": words + "\n" * 500 + words})
        for index in range(2):
            done = Evaluation("scored", "scored", words, metrics)
            name = words if index else ""
            store.record_candidate(Candidate(index, words, words, (words,), None, index, name=name))
            store.record_evaluation(index, done)
        selected = {"candidate": 1, "metrics": {**metrics, "accuracy": 0.5}, "reason": words}
        store.record_event("selection", selected)
        write_summary(store.folder, store)
        write_best(store.folder, store, 1)
        console = rich.console.Console(record=True, width=120, file=io.StringIO())
        print_tables(store, console)
        show_result(store, console)
        check_terminal(console.export_text())
        check_page(page(store))
    written = (tmp_path / "run" / "summary.json").read_text()
    assert written.isascii() and json.loads(written)["best"]["metrics"][words] == 1.0
    heading = (tmp_path / "run" / "best.py").read_text(errors="strict").split("\n\n")[0]
    assert all(line.startswith("# ") for line in re.split(r"\r\n|\r|\n", heading))
    assert not HARMFUL.search(heading)


@pytest.mark.parametrize("slot", [PROCESSOR, CELL], ids=["processor", "cell"])
@pytest.mark.parametrize(
    ("letter", "code"),
    [
        ("\x1b", "U+001B"),
        ("\x9b", "U+009B"),
        ("\r", "U+000D"),
        ("\u202e", "U+202E"),
        ("\u2028", "U+2028"),
    ],
    ids=["escape", "single", "return", "bidi", "separator"],
)
def test_a_program_that_shows_as_another_is_refused(slot, letter, code):
    source = GMPNN if slot is PROCESSOR else slot.space.write((1,) * 6)
    static.check(source, slot)
    static.check(source.replace("\n", "\r\n"), slot)
    static.check(source + "# é → 漢\n", slot)
    with pytest.raises(Rejected, match=f"line .*{re.escape(code)}"):
        static.check(source + f"# a{letter}b\n", slot)


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from launch import cli

def main(arguments):
    \"\"\"Fails.\"\"\"
    raise {error}

cli.run_main(main)
"""


@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["plain", "debug"])
@pytest.mark.parametrize("kind", ["UserError", "ValueError", "KeyboardInterrupt"])
def test_an_error_is_one_harmless_line(kind, debug):
    words = ALL.replace("\x00", "")
    error = f"__import__('evo_clrs.errors').errors.UserError({words!r})"
    code = SCRIPT.format(
        root=str(ROOT), error=error if kind == "UserError" else f"{kind}({words!r})"
    )
    command = [sys.executable, "-", *debug]
    done = subprocess.run(command, input=code.encode(), capture_output=True, timeout=120)
    text = done.stderr.decode()
    assert done.returncode == (130 if kind == "KeyboardInterrupt" else 1), text
    assert "<script>" in text
    assert not HARMFUL.search(text)
    if debug and kind != "KeyboardInterrupt":
        assert text.startswith("Traceback")
    else:
        assert len(text.splitlines()) == 1 and len(text) < 2000


def test_a_line_break_in_a_flag_does_not_become_a_flag(tmp_path):
    for value in ("a\n--weak_jail", ("a", "b\r--weak_jail")):
        with (
            pytest.raises(UserError, match="--seeds: a line break"),
            runs.open_store(tmp_path / "run", {}, {"seeds": value}),
        ):
            pass
    assert not (tmp_path / "run").exists()
