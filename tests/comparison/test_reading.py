"""Result lines are found in files and folders; a damaged one costs itself only."""

import pytest

from evo_clrs.comparison.reading import read
from evo_clrs.errors import UserError
from tests.result_lines import result, write


def test_files_and_folders_are_read_each_once(tmp_path):
    one = write(tmp_path / "one.jsonl", [result(seed=0)])
    two = write(tmp_path / "deep" / "er" / "results.jsonl", [result(seed=1)])
    found = read([one, tmp_path / "deep", two])
    assert [each.seed for each in found.results] == [0, 1]
    assert found.notes == ()


def test_damaged_lines_are_passed_over_and_named(tmp_path):
    path = write(tmp_path / "results.jsonl", [result()], "", '{"program": ', "[]")
    found = read([tmp_path])
    assert len(found.results) == 1
    assert [note.partition(" is damaged")[0] for note in found.notes] == [
        f"{path}, line 3",
        f"{path}, line 4",
    ]


def test_many_damaged_lines_do_not_flood_the_screen(tmp_path):
    write(tmp_path / "results.jsonl", [result()], *["{"] * 50)
    notes = read([tmp_path]).notes
    assert len(notes) == 6
    assert "45 further lines are damaged" in notes[-1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "nowhere", "there is no such file or folder"),
        (lambda folder: folder, "there is no results.jsonl in this folder"),
        (lambda folder: write(folder / "results.jsonl", []), "nothing to compare: no line in"),
        (lambda folder: write(folder / "results.jsonl", [], "{"), "line 1 is damaged"),
    ],
    ids=["no place", "no file", "empty", "nothing but damage"],
)
def test_what_is_not_there_is_told_in_one_line(make, words, tmp_path):
    with pytest.raises(UserError, match=words) as told:
        read([make(tmp_path)])
    assert "\n" not in str(told.value)
