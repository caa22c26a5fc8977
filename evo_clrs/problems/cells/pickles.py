"""Reading the benchmark authors' pickles without letting them run anything.

A pickle may name any function of any module and have it called. The official files name only an
ordered dictionary and NumPy's scalars; the reader knows these three names, makes plain floats
and integers of the scalars, and refuses a file that names anything else.
"""

import bz2
import collections
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evo_clrs.errors import UserError

# NumPy's codes of the scalars that the files may hold, as the standard library reads them.
_CODES: Mapping[str, str] = {"f8": "d", "f4": "f", "i8": "q", "i4": "i", "u1": "B", "b1": "?"}


def read_pickle(path: Path) -> Any:
    """Returns the content of a `.pickle.pbz2` file: dictionaries, lists, texts and numbers.

    Raises:
      UserError: the file is missing or damaged, or names a class that official files do not use.
    """
    try:
        with bz2.open(path) as file:
            content = _Reader(file, path).load()
            file.read(1)  # at its end a bzip2 file has a sum of its content, which is checked now
            return content
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path} does not fit into memory: take the folder instead") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # as against bz2's, which have none
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        # Damaged bytes make the pickle machine raise almost anything.
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}): unpack or get it again"
        ) from None


class _Reader(pickle.Unpickler):
    """Unpickles what the allow-list names.

    A pickle may also set attributes of what it was given. It is given methods, which take none, so
    that one file cannot change how the next is read.
    """

    def __init__(self, file: Any, path: Path):
        super().__init__(file)
        self._path = path
        self._allowed: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("numpy", "dtype"): self._type,
            ("numpy.core.multiarray", "scalar"): self._scalar,
            ("numpy._core.multiarray", "scalar"): self._scalar,  # where NumPy 2 keeps it
        }

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Returns what stands for a class of the file, see `pickle.Unpickler.find_class`."""
        if (module, name) not in self._allowed:
            raise UserError(
                f"{self._path} names {module}.{name}, which no official file does: not opened"
            )
        return self._allowed[module, name]

    def _type(self, code: str, align: bool = False, copy: bool = False) -> "_Type":
        """Stands for `numpy.dtype`."""
        return _Type(_CODES[code])

    def _scalar(self, kind: "_Type", raw: bytes) -> float:
        """Stands for NumPy's function that makes a scalar."""
        return struct.unpack("<" + kind.code, raw)[0]


class _Type:
    """How scalars of one type are stored: little-endian, as every official file is."""

    def __init__(self, code: str):
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] == ">":
            raise ValueError("numbers stored big-endian")
