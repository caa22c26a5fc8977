"""Cached samples equal drawn ones; whatever is wrong with a file or folder, samples come."""

import concurrent.futures
import dataclasses
import errno
import logging
import os

import jax
import numpy as np
import pytest

from evo_clrs.problems.clrs import cache
from evo_clrs.problems.clrs.cache import cached, default_folder, file_of
from evo_clrs.problems.clrs.data import draw, make_recipe
from evo_clrs.problems.clrs.tasks import CLRS30, Protocol, task


@pytest.fixture
def recipe():
    return make_recipe(task("bfs"), CLRS30, "train", length=5, count=3, seed=0)


@pytest.fixture(autouse=True)
def fresh_warnings():
    cache._warn_once.cache_clear()


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert [a.dtype for a in jax.tree.leaves(ours)] == [a.dtype for a in jax.tree.leaves(theirs)]


def test_a_second_reading_comes_from_the_file(recipe, tmp_path, monkeypatch):
    first = cached(recipe, tmp_path)
    monkeypatch.setattr(cache, "draw", lambda _: pytest.fail("drawn again"))
    assert_equal(cached(recipe, tmp_path), first)
    assert_equal(first, draw(recipe))


def test_the_file_is_an_archive_without_pickles(recipe, tmp_path):
    pool = cached(recipe, tmp_path)
    with np.load(file_of(recipe, tmp_path), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["inputs/adj"], pool.inputs["adj"])


def test_without_a_folder_nothing_is_kept(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_equal(cached(recipe, None), draw(recipe))
    assert not list(tmp_path.iterdir())


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content + b"more",
        lambda content: b"not an archive at all",
    ],
)
def test_a_damaged_file_is_made_again(recipe, tmp_path, caplog, damage):
    pool = cached(recipe, tmp_path)
    path = file_of(recipe, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with caplog.at_level(logging.WARNING):
        assert_equal(cached(recipe, tmp_path), pool)
    assert "is damaged" in caplog.text and path.name in caplog.text
    assert path.read_bytes() == whole


def test_the_file_of_another_recipe_is_not_taken(recipe, tmp_path):
    other = dataclasses.replace(recipe, seed=1)
    cached(other, tmp_path)
    os.replace(file_of(other, tmp_path), file_of(recipe, tmp_path))
    assert_equal(cached(recipe, tmp_path), draw(recipe))


def test_the_key_tells_everything_that_shapes_samples(recipe):
    changes = {
        "task": "dfs",
        "length": 6,
        "count": 4,
        "seed": 1,
        "options": (("p", (0.5,)),),
        "random_positions": False,
        "predecessor_as_input": True,
        "permutations": False,
    }
    assert set(changes) == {field.name for field in dataclasses.fields(recipe)}
    keys = {dataclasses.replace(recipe, **{name: value}).key for name, value in changes.items()}
    assert len(keys | {recipe.key}) == len(changes) + 1


@pytest.mark.parametrize("what", ["data.FORMAT", "data.clrs.__version__"])
def test_the_key_tells_format_and_library(recipe, monkeypatch, what):
    before = recipe.key
    monkeypatch.setattr(f"evo_clrs.problems.clrs.{what}", "another")
    assert recipe.key != before


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("bfs", "edge_probabilities", (0.5,)),
        ("bridges", "sparse_factor", 1.0),
        ("kmp_matcher", "max_needle", 4),
        ("bfs", "random_positions", False),
        ("minimum", "predecessor_as_input", False),
        ("heapsort", "permutations", False),
    ],
)
def test_each_option_that_matters_changes_the_key(name, field, value):
    changed = Protocol(**{field: value})
    keys = [
        make_recipe(task(name, protocol), protocol, "train", length=20, count=2, seed=0).key
        for protocol in (CLRS30, changed)
    ]
    assert keys[0] != keys[1]


def test_an_option_that_does_not_matter_leaves_the_key():
    changed = Protocol(max_needle=4, train_count=7, sparse_factor=1.0)
    keys = {
        make_recipe(task("bfs", protocol), protocol, "train", length=20, count=2, seed=0).key
        for protocol in (CLRS30, changed)
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("call", "number"),
    [("os.replace", errno.ENOSPC), ("os.fdopen", errno.EIO), ("tempfile.mkstemp", errno.EROFS)],
)
def test_what_cannot_be_written_is_told_once(recipe, tmp_path, caplog, monkeypatch, call, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"evo_clrs.problems.clrs.cache.{call}", fail)
    with caplog.at_level(logging.WARNING):
        for seed in range(2):
            another = dataclasses.replace(recipe, seed=seed)
            assert_equal(cached(another, tmp_path), draw(another))
    assert len(caplog.records) == 1
    assert os.strerror(number) in caplog.text and "going on without it" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_cannot_be_made_is_told(recipe, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert_equal(cached(recipe, blocked), draw(recipe))
    assert "going on without it" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_told(recipe, tmp_path, caplog):
    tmp_path.chmod(0o500)
    with caplog.at_level(logging.WARNING):
        assert_equal(cached(recipe, tmp_path), draw(recipe))
    assert "cannot write the cache" in caplog.text


def test_many_may_make_the_same_file_at_once(recipe, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        pools = list(threads.map(lambda _: cached(recipe, tmp_path), range(16)))
    for pool in pools:
        assert_equal(pool, draw(recipe))
    assert [p.name for p in (tmp_path / "clrs").iterdir()] == [file_of(recipe, tmp_path).name]


def test_default_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "evo_clrs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "evo_clrs"
