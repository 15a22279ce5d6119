"""Files of `torch.save` that would fill the memory or never end: refused before torch reads them.

``weights_only=True`` keeps code out; it does not keep a small file small.
"""

import pickletools
import zipfile
from pathlib import Path
from typing import IO

__all__ = ["check_archive"]

_ZIP = b"PK\x03\x04"
_LEGACY_PICKLES = 5  # before the raw numbers of a file from before torch 1.6
_MOST_PICKLE_BYTES = 64 << 20
_MOST_SHARED = 16


def check_archive(path: Path) -> None:
    """Refuse an archive that is larger unpacked than it is, or that takes forever to hash.

    Raises:
        ValueError: with the reason; also where the file is damaged.
        OSError: it cannot be read.
        zipfile.BadZipFile: it is damaged.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            file.seek(0)
            for _ in range(_LEGACY_PICKLES):
                _check_pickle(file)
            return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("it is compressed, which torch.save does not do")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                if entry.file_size > _MOST_PICKLE_BYTES:
                    raise ValueError(f"more than {_MOST_PICKLE_BYTES >> 20} MB beside its tensors")
                with archive.open(entry) as pickled:
                    _check_pickle(pickled)


def _check_pickle(file: IO[bytes]) -> None:
    """Refuse tuples of tuples that stand for many more: as a key, each of them is hashed."""
    tuples = set[object]()
    shared, last = 0, ""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name.endswith("BINPUT") and last.startswith("TUPLE"):
            tuples.add(argument)
        elif opcode.name.endswith("BINGET"):
            shared += argument in tuples
        last = opcode.name
    if shared > _MOST_SHARED:
        raise ValueError("its parts refer to each other as in no file of torch.save")
