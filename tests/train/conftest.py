"""A space and a recipe that train in a second."""

import pytest

from supernet.data import Dataset, ImageSet, load_fashion_mnist
from supernet.space import Head, Space, Stage, Stem
from supernet.train import Elastic, Phase, Recipe


@pytest.fixture
def space() -> Space:
    return Space(
        name="tiny",
        resolutions=(16, 24),
        stem=Stem(width=(8,), stride=2),
        stages=(
            Stage(
                width=(8, 16),
                depth=(1, 2),
                kernel=(3, 5),
                expand=(1.5, 2),
                stride=2,
                se=(0.25,),
                shortcut=("none", "identity"),
            ),
        ),
        head=Head(width=16, dropout=0.2),
        in_channels=1,
        num_classes=10,
    )


@pytest.fixture
def recipe() -> Recipe:
    everything = Elastic(kernel=0, depth=0, expand=0, width=0)
    return Recipe(
        name="tiny",
        batch_size=32,
        phases=(
            Phase(name="largest", epochs=1, warmup_epochs=0.5, lr=0.05),
            Phase(
                name="frozen",
                epochs=1,
                lr=0.05,
                elastic=everything,
                distill=0.5,
                subnets=("random", "random"),
                sort_channels=True,
            ),
            Phase(
                name="in_place",
                epochs=1.5,
                lr=0.05,
                elastic=everything,
                distill=0.5,
                subnets=("largest", "random", "smallest"),
                teacher="in_place",
            ),
        ),
    )


@pytest.fixture
def dataset() -> Dataset:
    whole = load_fashion_mnist()
    few: ImageSet = whole.train.take(slice(0, 160))
    return Dataset(
        name="few", classes=whole.classes, train=few, holdout=few, test=few, views=whole.views
    )
