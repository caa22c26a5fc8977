"""Drawn samples kept on disk, under a key of everything that shapes them.

A file is an .npz archive of plain arrays, never pickles, followed by a SHA-256 of key and archive.
It is written beside its place and moved there, so that readers and other writers never meet half a
file; of two processes that draw the same recipe, either one's file stays.
"""

import functools
import hashlib
import io
import logging
import os
import tempfile
from pathlib import Path

import numpy as np

from evo_clrs.problems.clrs.data import Pool, Recipe, draw

_LOG = logging.getLogger(__name__)
_DIGEST_BYTES = hashlib.sha256().digest_size
_GROUPS = ("inputs", "hints", "outputs")


def default_folder() -> Path:
    """Returns the cache folder: `evo_clrs` in $XDG_CACHE_HOME, or else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evo_clrs"


def cached(recipe: Recipe, folder: Path | None) -> Pool:
    """Returns the pool of a recipe, from the cache if it is there, and puts it there if not.

    A damaged file is told of and made again. Where the folder cannot be read or written, or the
    disk is full, the pool is drawn all the same, and a warning says so once.

    Args:
      recipe: what to draw.
      folder: the cache folder, made if it is missing; None for no cache.
    """
    if folder is None:
        return draw(recipe)
    path = file_of(recipe, folder)
    try:
        return _decode(recipe, path.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError as error:
        _LOG.warning("%s is damaged (%s): its samples are drawn again", path, error)
    except OSError as error:
        _warn_once(f"cannot read the cache {folder} ({error.strerror}): going on without it")
        return draw(recipe)
    pool = draw(recipe)
    try:
        _write(path, _encode(recipe, pool))
    except OSError as error:
        _warn_once(f"cannot write the cache {folder} ({error.strerror}): going on without it")
    return pool


def file_of(recipe: Recipe, folder: Path) -> Path:
    """Returns where the pool of a recipe is kept."""
    return folder / "clrs" / f"{recipe.task}-{recipe.length}-{recipe.key[:32]}.npz"


@functools.cache
def _warn_once(message: str) -> None:
    _LOG.warning(message)


def _digest(recipe: Recipe, archive: bytes) -> bytes:
    return hashlib.sha256(recipe.key.encode() + archive).digest()


def _encode(recipe: Recipe, pool: Pool) -> bytes:
    arrays = {
        f"{group}/{name}": array
        for group in _GROUPS
        for name, array in getattr(pool, group).items()
    }
    buffer = io.BytesIO()
    # Compressed, since masks and one-hots are nearly all zeros.
    np.savez_compressed(buffer, lengths=pool.lengths, **arrays)
    archive = buffer.getvalue()
    return archive + _digest(recipe, archive)


def _decode(recipe: Recipe, content: bytes) -> Pool:
    """Returns the pool in a file; raises ValueError if it is not what was written for it."""
    archive, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if digest != _digest(recipe, archive):
        raise ValueError("its checksum is wrong")
    groups: dict[str, dict[str, np.ndarray]] = {group: {} for group in _GROUPS}
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        for key in arrays.files:
            group, _, name = key.partition("/")
            if name:
                groups[group][name] = arrays[key]
        return Pool(lengths=arrays["lengths"], **groups)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
