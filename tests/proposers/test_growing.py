"""A cache that grows in place holds what one that is copied with each token does."""

import pytest

torch = pytest.importorskip("torch")
cache_utils = pytest.importorskip("transformers.cache_utils")

from evo_clrs.proposers import growing  # noqa: E402


def test_it_holds_what_the_usual_cache_does():
    """A prompt of 5 tokens for 3 rows, 200 tokens on, of which two rows end on the way."""
    draw = torch.Generator().manual_seed(0)
    usual, grown = cache_utils.DynamicCache(), cache_utils.DynamicCache()
    prompt = torch.randn(2, 1, 4, 5, 8, generator=draw)
    for cache in (usual, grown):
        cache.update(prompt[0], prompt[1], 0)
        cache.batch_repeat_interleave(3)
    growing.grow_in_place(grown)
    rows = 3
    for token in range(200):
        if token in (20, 150):
            kept = torch.arange(rows)[1:]
            rows -= 1
            usual.batch_select_indices(kept)
            grown.batch_select_indices(kept)
        keys, values = torch.randn(2, rows, 4, 1, 8, generator=draw)
        for wanted, got in zip(
            usual.update(keys, values, 0), grown.update(keys, values, 0), strict=True
        ):
            assert torch.equal(wanted, got)
    assert grown.get_seq_length() == usual.get_seq_length() == 205


def test_layers_of_other_kinds_are_left():
    cache = cache_utils.DynamicCache()
    growing.grow_in_place(cache)
    growing.grow_in_place(None)
    assert cache.get_seq_length() == 0
