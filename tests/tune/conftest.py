"""A study of one parameter, its plan, and a proposer in a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from supernet.space import Head, Space, Stage, Stem
from supernet.studies import Storage
from supernet.train import Phase, Recipe
from supernet.tune import Parameter, Plan, Study
from supernet.tune.identity import identity_of
from supernet.tune.optuna import OptunaProposer


@pytest.fixture
def space() -> Space:
    stage = Stage(width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(1.5, 2), stride=2, se=(0.25,))
    return Space(
        name="tiny",
        resolutions=(16,),
        stem=Stem(width=(8,), stride=2),
        stages=(stage,),
        head=Head(width=16),
        in_channels=1,
        num_classes=10,
    )


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="tiny",
        batch_size=64,
        weight_decay=1e-4,
        phases=(
            Phase(name="first", epochs=1, lr=0.2, lr_end=0.1),
            Phase(name="second", epochs=3, lr=0.1),
        ),
    )


@pytest.fixture
def study() -> Study:
    decay = Parameter(low=1e-6, high=1e-1, log=True)
    return Study(name="decay", parameters={"recipe.weight_decay": decay})


@pytest.fixture
def plan(study: Study, recipe: Recipe, space: Space) -> Plan:
    return Plan(study, recipe, space)


Opened = Callable[..., OptunaProposer]


@pytest.fixture
def opened(plan: Plan, tmp_path: Path) -> Opened:
    """Opens the study in a file below `tmp_path`."""

    def make(
        own: Plan = plan, *, storage: str = f"journal:{tmp_path}/study.journal", **asked: Any
    ) -> OptunaProposer:
        identity = identity_of(own, data="some", images=1000, seed=0)
        return OptunaProposer(own, Storage(storage), identity, **asked)

    return make
