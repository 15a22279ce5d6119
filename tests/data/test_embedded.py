"""The embedded images are those of Fashion-MNIST, balanced, and small."""

from importlib import resources

import numpy as np
import pytest

from supernet.data import EMBEDDED, Dataset, load_dataset, load_fashion_mnist


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_fashion_mnist()


def test_the_arrays_are_balanced_and_the_file_is_small() -> None:
    file = resources.files("supernet.data.fashion_mnist") / "fashion_mnist.npz"
    with resources.as_file(file) as path:
        assert path.stat().st_size <= 8e6
        with np.load(path) as arrays:
            for split, per_class in (("train", 1200), ("test", 200)):
                images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
                assert images.shape == (10 * per_class, 28, 28)
                assert images.dtype == labels.dtype == np.uint8
                assert np.bincount(labels).tolist() == [per_class] * 10


def test_training_images_are_cut_into_two_balanced_parts(dataset: Dataset) -> None:
    for images, per_class in ((dataset.train, 1000), (dataset.holdout, 200), (dataset.test, 200)):
        assert np.bincount(images.labels).tolist() == [per_class] * 10
        assert images.channels == dataset.in_channels == 1
    assert len(dataset.classes) == 10


def test_no_image_is_in_two_parts(dataset: Dataset) -> None:
    parts = [
        {image.tobytes() for image in images.pixels(slice(None))}
        for images in (dataset.train, dataset.holdout, dataset.test)
    ]
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]


def test_the_split_is_the_seeds(dataset: Dataset) -> None:
    same, other = load_fashion_mnist(), load_fashion_mnist(seed=1)
    first = dataset.holdout.pixels(slice(None))
    assert (same.holdout.pixels(slice(None)) == first).all()
    assert (other.holdout.pixels(slice(None)) != first).any()
    assert (other.test.pixels(slice(None)) == dataset.test.pixels(slice(None))).all()


def test_the_statistics_are_those_of_the_images(dataset: Dataset) -> None:
    # 0.2860 and 0.3530 are the figures for all 60,000 training images
    pixels = dataset.train.pixels(slice(None)) / 255
    assert pixels.mean() == pytest.approx(dataset.views.mean[0], abs=0.005)
    assert pixels.std() == pytest.approx(dataset.views.std[0], abs=0.005)


def test_it_is_loaded_by_name() -> None:
    assert load_dataset(EMBEDDED, resolution=32).name == EMBEDDED
