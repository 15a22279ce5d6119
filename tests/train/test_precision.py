"""``precision: auto`` is decided once, by what the device computes natively."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from supernet.data import Dataset
from supernet.models import Supernet
from supernet.space import Space
from supernet.train import Recipe, Trainer, at_precision, load_recipe
from supernet.train import precision as module


@pytest.mark.parametrize(
    ("known", "numba", "expected"),
    [
        ({"avx512_bf16": True}, True, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, True, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False}, True, "fp32"),
        ({"avx512_bf16": True}, False, "fp32"),
    ],
)
def test_a_processor_computes_in_bf16_where_it_can_and_numba_is_there(
    known: dict[str, bool], numba: bool, expected: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    monkeypatch.setattr(module, "has_kernel", lambda: numba)
    assert module.auto_precision("cpu") == expected


def test_a_torch_that_cannot_say_what_a_processor_does_trains_in_fp32(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert module.auto_precision("cpu") == "fp32"


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_computes_in_bf16_where_it_is_not_emulated(
    native: bool, monkeypatch: pytest.MonkeyPatch
):
    def is_supported(*, including_emulation: bool) -> bool:
        assert not including_emulation
        return native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert module.auto_precision("cuda:1") == ("bf16" if native else "fp32")


def test_other_devices_compute_in_fp32():
    assert module.auto_precision("mps") == "fp32"


def test_what_a_recipe_asks_for_stays():
    recipe = replace(load_recipe("demo"), precision="fp16")
    assert at_precision(recipe, "cpu") is recipe


def test_the_trainer_decides(
    tmp_path: Path,
    space: Space,
    recipe: Recipe,
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "auto_precision", lambda device: "bf16")
    asked = replace(recipe, precision="auto")
    assert Trainer(Supernet(space), dataset, asked, folder=tmp_path).recipe.precision == "bf16"
