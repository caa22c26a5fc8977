"""Where tables come from. Nothing is ever downloaded: a missing one is asked for in words.

The same is in third_party/DATA.md, for people.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from evo_clrs.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
    """A file that somebody publishes.

    Attributes:
      file: its name.
      address: where it is.
      size: how large it is.
      checksum: what is known of its content, for checking by hand.
      use: how to put it in place.
    """

    file: str
    address: str
    size: str
    checksum: str
    use: str

    def __str__(self) -> str:
        known = f"{self.size}, {self.checksum}" if self.checksum else self.size
        return f"{self.file} ({known}) from {self.address}, {self.use}"


_GENIUS = "https://github.com/mingkai-zheng/GENIUS/blob/main/benchmark"

CELL_TABLES = {
    "cifar10": Source(
        "nasbench201_cifar10.json",
        _GENIUS,
        "2,625,770 bytes",
        "sha256 7c5d7d890a285deb41556f95e904fab854f8fcfd65da7eb39410fdedd87215ec",
        "--table=FILE",
    ),
    "cifar100": Source(
        "nasbench201_cifar100.json",
        _GENIUS,
        "2,722,508 bytes",
        "sha256 6b21a0e98864e0aff288fc54bb5105907441bfd63bb063ad3d279edcbf926da5",
        "--table=FILE",
    ),
    "imagenet16-120": Source(
        "nasbench201_imagenet.json",
        _GENIUS,
        "2,738,705 bytes",
        "sha256 a29f63ca37b72cfa9a8e4ce6bad5d678c6039c9929c8060b7d32187f537d560f",
        "--table=FILE",
    ),
}

CELL_ARCHIVE = Source(
    "NATS-tss-v1_0-3ffb9-simple.tar",
    "https://drive.google.com/file/d/17_saCsj_krKjlCBLOJEpNtzPXArMCqxU",
    "about 1.1 GB",
    "",
    "tar xf, --table=FOLDER",
)

MACRO_TABLE = Source(
    "nas-bench-macro_cifar10.json",
    "https://github.com/xiusu/NAS-Bench-Macro/tree/master/data",
    "1,178,821 bytes",
    "sha256 686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
    "--table=FILE",
)

SIZE_ARCHIVE = Source(
    "NATS-sss-v1_0-50262-simple.tar",
    "https://drive.google.com/file/d/1scOMTUwcQhAMa_IMedp9lTzwmgqHLGgA",
    "about 1.1 GB",
    "",
    "tar xf, --table=FOLDER",
)


def find(table: str, sources: Sequence[Source], names: Sequence[str] = ()) -> Path:
    """Returns the file or folder that `--table` names.

    Args:
      table: what the flag says; empty if it was not given.
      sources: where such a table comes from.
      names: files to look for where a folder is named; the folder itself if none is in it.

    Raises:
      UserError: it is packed, or it is not there; the message says what to get, from where, and
        what to do then.
    """
    path = Path(table)
    if table and path.is_file() and path.suffix == ".tar":
        raise UserError(f"{path} is packed: unpack it with `tar xf {path}` and name the folder")
    if table and path.exists():
        return next((path / name for name in names if (path / name).is_file()), path)
    what = f"there is no table {table}" if table else "--table is missing"
    raise UserError(f"{what}: get {'; or '.join(map(str, sources))} (third_party/DATA.md)")
