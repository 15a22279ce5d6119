"""The embedded images: 12,000 training and 2,000 test images of Fashion-MNIST."""

from importlib import resources

import numpy as np

from supernet.data.images import Dataset, ImageSet, Views, hold_out

__all__ = ["CLASSES", "load_fashion_mnist"]

CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def load_fashion_mnist(*, holdout_share: float = 1 / 6, seed: int = 0) -> Dataset:
    """The embedded Fashion-MNIST subset, grey, 28 x 28 pixels, ten classes.

    Evaluation frames each image to 32 x 32; training shifts it within that frame
    by up to two pixels. It is not mirrored: in short trainings that costs more than
    a point, since shoes and bags all look the same way in the test images too.
    """
    file = resources.files("supernet.data.fashion_mnist") / "fashion_mnist.npz"
    with file.open("rb") as handle, np.load(handle) as arrays:
        train, test = (
            ImageSet(arrays[f"{split}_images"][..., None], arrays[f"{split}_labels"].astype(int))
            for split in ("train", "test")
        )
    rest, held = hold_out(train, holdout_share, seed)
    frame = 32 / 28
    views = Views(
        mean=(0.2860,),
        std=(0.3530,),
        frame=frame,
        crop_area=(frame**2, frame**2),
        crop_ratio=(1.0, 1.0),
        flip=False,
    )
    return Dataset(
        name="fashion_mnist", classes=CLASSES, train=rest, holdout=held, test=test, views=views
    )
