"""What is known of a data set before its images are decoded."""

from dataclasses import dataclass

from supernet.data._listing import list_files
from supernet.data.catalogue import NAMED
from supernet.data.decoding import square_of
from supernet.data.folder import stored_side
from supernet.data.load import load_dataset, survey_source
from supernet.data.named import is_kept
from supernet.data.record import SPLITS
from supernet.progress import Progress, silent
from supernet.reading import FRESH, Reading

__all__ = ["Outline", "outline_of"]

_OF_FILES = 3
"""Channels that every file becomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What a network needs to know of images."""

    classes: tuple[str, ...]
    """Their names, as the training has them."""
    channels: int
    """Of what the network will see."""
    train_images: int
    """Without those that will be held out; 0 where that is not known."""


def outline_of(
    data: str,
    *,
    resolution: int,
    seed: int = 0,
    reading: Reading = FRESH,
    progress: Progress = silent,
) -> Outline:
    """The outline of what `load_dataset` would give.

    Published ones are downloaded where they are not here; no picture is decoded.

    Args:
        data: as for `load_dataset`, and so are the others.
        resolution: largest input size that will be asked for.
        seed: of the hold-out split.
        reading: how picture files will become pixels.
        progress: told about files that are read.

    Raises:
        DataError: the images are missing, or cannot be trained on.
        MissingPackageError: the data set needs a package that is not there.
    """
    record = survey_source(data, seed=seed, progress=progress)
    if record is not None:
        count = int((record.splits == SPLITS.index("train")).sum())
        return Outline(classes=record.classes, channels=_OF_FILES, train_images=count)
    if _would_decode(data, resolution, reading):
        listing = list_files(data, seed, progress)
        assert listing is not None
        return Outline(
            classes=listing.classes, channels=_OF_FILES, train_images=sum(listing.train_counts)
        )
    dataset = load_dataset(  # pixels, which are only mapped
        data, resolution=resolution, seed=seed, reading=reading, progress=progress
    )
    return Outline(
        classes=dataset.classes, channels=dataset.in_channels, train_images=len(dataset.train)
    )


def _would_decode(data: str, resolution: int, reading: Reading) -> bool:
    """Whether it is a published data set of photographs that are not all decoded yet."""
    info = NAMED.get(data)
    if info is None or info.pixels:
        return False
    square = square_of(stored_side(resolution), reading)
    return not all(is_kept(info, square, half) for half in ("train", "test"))
