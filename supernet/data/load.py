"""A data set by what the user typed."""

from pathlib import Path

from supernet.data.embedded import load_fashion_mnist
from supernet.data.folder import load_folder
from supernet.data.images import Dataset
from supernet.files import user_folder
from supernet.progress import Progress, silent

__all__ = ["EMBEDDED", "load_dataset"]

EMBEDDED = "fashion_mnist"


def load_dataset(
    data: str, *, resolution: int, seed: int = 0, progress: Progress = silent
) -> Dataset:
    """The embedded images, or a folder of class folders.

    Args:
        data: ``fashion_mnist``, or a path to a folder with ``train/`` and ``val/``.
        resolution: largest input size that will be asked for.
        seed: of the hold-out split.
        progress: told about every decoded image.

    Raises:
        DataError: the folder is missing, empty, or holds broken images.
    """
    if data == EMBEDDED and not Path(data).is_dir():
        return load_fashion_mnist(seed=seed)
    return load_folder(
        Path(data),
        resolution=resolution,
        cache=user_folder() / "images",
        seed=seed,
        progress=progress,
    )
