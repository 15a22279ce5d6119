"""A data set by what the user typed."""

from pathlib import Path

from supernet.data.embedded import load_fashion_mnist
from supernet.data.folder import load_folder
from supernet.data.images import Dataset
from supernet.data.named import NAMED, load_named
from supernet.data.record import ImageRecord
from supernet.data.shards import are_there, names_shards
from supernet.data.survey import survey
from supernet.errors import DataError
from supernet.files import nearest
from supernet.places import user_folder
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading

__all__ = ["EMBEDDED", "absolute_source", "load_dataset", "survey_source"]

_NAMES = 20  # of data sets, which no command lists

EMBEDDED = "fashion_mnist"


def load_dataset(
    data: str,
    *,
    resolution: int,
    seed: int = 0,
    known: ImageRecord | None = None,
    seeded: bool = False,
    reading: Reading = FRESH,
    progress: Progress = silent,
) -> Dataset:
    """The embedded images, a published data set, a folder of class folders, or tar files.

    Args:
        data: ``fashion_mnist``, one of `NAMED` such as ``cifar10``, or a path to a folder
            of class folders (`supernet.data.layout`) or of tar files (`supernet.data.shards`),
            which goes first where both are there; or a name for tar files.
        resolution: largest input size that will be asked for.
        seed: of the hold-out split.
        known: images of a folder whose use is decided (`load_folder`).
        seeded: as `load_folder` has it.
        reading: how picture files become pixels: as asked for, or as it was found before; of
            effect on a folder, and its `fit` on data sets of photographs.
        progress: told about every decoded image.

    Raises:
        DataError: the folder is missing, empty, or holds broken images; or the data set
            cannot be downloaded.
        MissingPackageError: the data set needs a package that is not there.
    """
    if _is_name(data):
        if data == EMBEDDED:
            return load_fashion_mnist(seed=seed)
        if data in NAMED:
            return load_named(
                data, resolution=resolution, seed=seed, reading=reading, progress=progress
            )
        if Path(data).name == data:
            raise DataError(
                f"{data}: no such folder, nor a data set by that name; "
                f"{nearest(data, [EMBEDDED, *NAMED], most=_NAMES)}"
            )
    return load_folder(
        Path(data),
        resolution=resolution,
        cache=_cache(),
        seed=seed,
        known=known,
        seeded=seeded,
        reading=reading,
        progress=progress,
    )


def survey_source(
    data: str,
    *,
    seed: int = 0,
    known: ImageRecord | None = None,
    progress: Progress = silent,
) -> ImageRecord | None:
    """Which images `load_dataset` would give, without decoding any.

    None of data sets that cannot change, and of files that are not there.

    Args:
        data: as for `load_dataset`.
        seed: of the hold-out split.
        known: images of a folder whose use is decided.
        progress: told about files that are read.

    Raises:
        DataError: the folder cannot be trained on.
    """
    if _is_name(data) or (names_shards(data) and not are_there(data)):
        return None
    return survey(Path(data), _cache(), seed=seed, known=known, progress=progress).record


def _cache() -> Path:
    return user_folder() / "images"


def absolute_source(data: str) -> str:
    """`data` as later commands find it from any working directory: names stay names."""
    if _is_name(data) and (data == EMBEDDED or data in NAMED):
        return data
    return str(Path(data).resolve())


def _is_name(data: str) -> bool:
    """Whether `data` can only be the name of a data set: a folder goes first."""
    return not Path(data).is_dir() and not names_shards(data)
