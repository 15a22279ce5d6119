"""What a real GPU computes, and what its host waits for: skipped where there is none.

`tests/test_accelerator.py` asks the same of a device of the tests' own, everywhere.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from supernet.data import Dataset
from supernet.evaluate import Evaluator
from supernet.latency.backends import open_backend
from supernet.latency.build import table_of
from supernet.latency.kit.protocol import Protocol
from supernet.latency.kits import make_plan
from supernet.latency.measuring import measure_here
from supernet.models import Supernet, extract
from supernet.space import Space, largest, smallest
from supernet.train import Trainer, list_checkpoints, list_recipes, load_recipe, scaled
from supernet.train.processes import Processes
from supernet.train.recipe import Precision
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.engines import EngineRequest
from supernet.workflow.train import seeded_supernet, train_supernet
from tests.on_devices import WAITS, few_images, few_subnets, logged_losses, short_recipe
from tests.train.toy_latency import latencies_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")

_DEVICE = "cuda"


class StopError(Exception):
    """What ends a training before its time."""


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Convolutions in fp32 as a CPU computes them, not in TF32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "allow_tf32", False)
        yield


@pytest.fixture(scope="module")
def space(demo_space: Space) -> Space:
    """The demo's, with few shapes: for each new one cuDNN takes milliseconds to make a plan."""
    few = [replace(s, width=s.width[-1:], depth=s.depth[:1]) for s in demo_space.stages[:2]]
    return replace(demo_space, in_channels=1, stages=tuple(few))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return few_images(272)


def test_a_moved_supernet_computes_what_it_did(tiny_space: Space) -> None:
    torch.manual_seed(0)
    supernet = Supernet(tiny_space).eval()
    moved = Supernet(tiny_space)
    moved.load_state_dict(supernet.state_dict())
    moved.eval().to(_DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs know it for tensors only
    for subnet in few_subnets(tiny_space):
        x = torch.randn(2, 3, subnet.resolution, subnet.resolution)
        expected = extract(supernet, subnet)(x)
        moved.activate(subnet)
        for network in (moved, extract(moved, subnet)):
            found = network(x.to(_DEVICE)).cpu()
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list_recipes())
def test_steps_of_every_recipe_wait_for_nothing(
    tmp_path: Path, space: Space, dataset: Dataset, name: str
) -> None:
    """The host runs ahead of the GPU; losses are those of a CPU."""
    recipe, at_steps = replace(short_recipe(name), precision="fp32"), []
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")

        def stepped(done: int, total: int, text: str) -> None:
            at_steps.append(len(waits))

        supernet = seeded_supernet(space, 0)
        here = Processes(device=_DEVICE)
        there = tmp_path / "there"
        latencies = latencies_of(space, recipe)
        trainer = Trainer(
            supernet,
            dataset,
            recipe,
            folder=there,
            processes=here,
            progress=stepped,
            latencies=latencies,
        )
        torch.cuda.set_sync_debug_mode("warn")
        try:
            trainer.train()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = [f"{wait.filename}:{wait.lineno} {wait.message}" for wait in waits]
    # the last of a phase: at the first, the phase before it is saved
    waited = [b - a for a, b in zip(at_steps[6::8], at_steps[7::8])]
    assert waited == [WAITS.get(name, 0)] * len(recipe.phases), found
    supernet = seeded_supernet(space, 0)
    Trainer(supernet, dataset, recipe, folder=tmp_path / "cpu", latencies=latencies).train()
    assert logged_losses(there) == pytest.approx(logged_losses(tmp_path / "cpu"), rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_stopped_training_goes_on_bit_for_bit(
    tmp_path: Path, space: Space, dataset: Dataset, precision: Precision
) -> None:
    """Over three epochs of eight steps; stopped in the third."""
    recipe, here = (
        replace(short_recipe("sandwich"), precision=precision, ema=0.9),
        Processes(device=_DEVICE),
    )
    recipe = replace(recipe, phases=tuple(replace(p, epochs=3) for p in recipe.phases))

    def stop(done: int, total: int, text: str) -> None:
        if done == 21:
            raise StopError

    whole, stopped, resumed = (seeded_supernet(space, 0) for _ in range(3))
    Trainer(whole, dataset, recipe, folder=tmp_path / "whole", processes=here).train()
    folder = tmp_path / "stopped"
    with pytest.raises(StopError):
        Trainer(stopped, dataset, recipe, folder=folder, processes=here, progress=stop).train()
    trainer = Trainer(resumed, dataset, recipe, folder=folder, processes=here)
    trainer.resume(list_checkpoints(folder / "checkpoints")[-1])
    assert 0 < trainer.step < 21
    trainer.train()
    weights = whole.state_dict()
    apart = [n for n, value in resumed.state_dict().items() if not torch.equal(value, weights[n])]
    assert not apart, apart


def test_scores_are_those_of_the_host(space: Space, dataset: Dataset) -> None:
    supernet = seeded_supernet(space, 0)
    here = Evaluator(supernet, dataset, calibration_images=128, batch_size=64)
    expected = [here.subnet_score(subnet, "holdout") for subnet in few_subnets(space)]
    moved = supernet.to(_DEVICE)
    there = Evaluator(moved, dataset, device=_DEVICE, calibration_images=128, batch_size=64)
    for subnet, score in zip(few_subnets(space), expected):
        found = there.subnet_score(subnet, "holdout")
        assert found.loss == pytest.approx(score.loss, rel=1e-4)
        assert found.top1 == pytest.approx(score.top1, abs=1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_evaluates_there(tmp_path: Path, space: Space, workers: int) -> None:
    recipe = scaled(load_recipe("demo"), 0.05)
    run = train_supernet(space, recipe, folder=tmp_path / "run", device=_DEVICE)
    genes = np.concatenate([largest(space), smallest(space)])
    there = EngineRequest(device=_DEVICE, workers=workers)
    with Accuracies(run, there, images=500) as measuring:
        found = measuring.measure(genes)
    run.evidence.unlink()
    expected = Accuracies(run, images=500).measure(genes)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-3)


def test_a_table_of_it_is_measured(space: Space) -> None:
    backend = open_backend("torch", device=_DEVICE)
    plan = make_plan(space, fit=4, hold_out=4)
    result = measure_here(plan, backend, protocol=Protocol(rounds=1, least=1, burst=4, threads=1))
    assert torch.cuda.get_device_name() in result.device["gpu"]
    table = table_of([result], "gpu")
    assert table.held_out.networks == 4
    assert all(row.ms > 0 for row in table.rows.values())
