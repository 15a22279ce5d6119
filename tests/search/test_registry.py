"""Algorithms by name: what they need beside this library."""

import sys
from typing import Any

import numpy as np
import pytest

import supernet
from supernet.errors import MissingPackageError
from supernet.search import ALGORITHMS, Rung, macs
from supernet.space import Genes, Space

BESIDE = {"optuna:cmaes": "cmaes", "optuna:gp": "scipy"}
SAMPLERS = [("CmaEsSampler", "cmaes"), ("GPSampler", "scipy")]
NEEDS = [(info.name, "optuna") for info in ALGORITHMS.values() if info.of_optuna]


def searched(space: Space, algorithm: Any) -> None:
    def never(genes: Genes) -> np.ndarray:
        raise AssertionError("measured")

    ladder = [Rung(name="low", function=macs(space), share=0.5)] if algorithm == "bohb" else []
    fix = {"resolution": [24], "stage1.width": [16], "stage2.width": [24]}  # not too many for grids
    supernet.search(space, accuracy=never, algorithm=algorithm, ladder=ladder, fix=fix, budget=2000)


@pytest.mark.parametrize(("name", "package"), [*NEEDS, *BESIDE.items()])
def test_a_missing_package_names_the_extra_before_anything_is_measured(
    space: Space, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    if package != "optuna":
        pytest.importorskip("optuna")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingPackageError, match=f"^algorithm {name} needs the package {package}, which is not"
    ) as error:
        searched(space, name)
    assert error.value.hint == "pip install 'supernet[optuna]'"
    assert error.value.exit_code == 3


@pytest.mark.filterwarnings("ignore:GPSampler is experimental")
@pytest.mark.parametrize(("sampler", "package"), SAMPLERS)
def test_a_sampler_object_without_its_package_names_the_extra(
    space: Space, monkeypatch: pytest.MonkeyPatch, sampler: str, package: str
) -> None:
    optuna = pytest.importorskip("optuna")
    made = getattr(optuna.samplers, sampler)()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=f"^{sampler} of Optuna needs .* {package},"):
        searched(space, made)
