"""What a GPU would be asked, on a device of the tests' own: see `tests.accelerator`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from supernet.data import Dataset
from supernet.evaluate import Evaluator
from supernet.models import Supernet, extract, sort_channels
from supernet.progress import silent
from supernet.space import Head, Space, Stage, Stem, largest, smallest
from supernet.train import (
    Trainer,
    list_checkpoints,
    list_recipes,
    scaled,
)
from supernet.train.processes import Processes
from supernet.workflow.accuracies import Accuracies
from supernet.workflow.engines import EngineRequest
from supernet.workflow.train import seeded_supernet, train_supernet
from tests.accelerator import AVAILABLE, Accelerator
from tests.on_devices import WAITS, few_images, few_subnets, logged_losses, short_recipe
from tests.train.toy_latency import latencies_of

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="this torch has no devices in Python")


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    with Accelerator() as entered:
        yield entered


@pytest.fixture(scope="module")
def space() -> Space:
    """Gates, shortcuts, learned kernels; small."""
    stage = Stage(
        width=(8, 16), depth=(1, 2), kernel=(3, 5), expand=(1.5, 2), stride=2, se=(0.25,),
        shortcut=("none", "identity"),
    )  # fmt: skip
    return Space(
        name="tiny",
        resolutions=(16,),
        stem=Stem(width=(8,), stride=2),
        stages=(stage,),
        head=Head(width=16, dropout=0.2),
        in_channels=1,
        num_classes=10,
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return few_images(72)


# -- the device itself ----------------------------------------------------------------


def test_the_device_refuses_tensors_of_the_host(accelerator: Accelerator) -> None:
    there = torch.ones(2, 3).to(accelerator.device)
    assert (there * torch.tensor(2.0)).device == accelerator.device  # a number may come along
    with pytest.raises(RuntimeError, match=r"all tensors must be on one device, on cpu are"):
        there + torch.ones(2, 3)
    assert accelerator.waits == ["? _to_copy"]  # of the first line


def test_the_device_notes_what_the_host_waits_for(accelerator: Accelerator) -> None:
    there = torch.arange(4.0).to(accelerator.device, non_blocking=True)
    assert accelerator.waits == []
    assert there.cpu().tolist() == [0, 1, 2, 3]
    assert float(there.sum()) == 6
    assert len(there[there > 1]) == 2
    torch.empty(4).copy_(there)
    there.copy_(torch.ones(4))
    there.copy_(torch.ones(4), non_blocking=True)
    torch.ones(4).to(accelerator.device)
    noted = [wait.split()[-1] for wait in accelerator.waits]
    assert noted == ["_to_copy", "_local_scalar_dense", "index", "copy_", "copy_", "_to_copy"]


# -- the supernet ---------------------------------------------------------------------


def test_a_moved_supernet_computes_what_it_did(accelerator: Accelerator, tiny_space: Space) -> None:
    torch.manual_seed(0)
    supernet, moved = Supernet(tiny_space), Supernet(tiny_space)
    moved.load_state_dict(supernet.state_dict())
    for module in (supernet.eval(), moved.to(accelerator.device).eval()):
        sort_channels(module)
    accelerator.waits.clear()
    for subnet in few_subnets(tiny_space):
        x = torch.randn(2, 3, subnet.resolution, subnet.resolution)
        expected = extract(supernet, subnet)(x)
        there = x.to(accelerator.device, non_blocking=True)
        moved.activate(subnet)
        for network in (moved, extract(moved, subnet)):
            torch.testing.assert_close(network(there).cpu(), expected)
    assert len(accelerator.waits) == 2 * len(few_subnets(tiny_space))  # ours, to compare


# -- training -------------------------------------------------------------------------


LONG = ("progressive_shrinking",)  # many phases, each a kind of phase that another recipe has


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in list_recipes()
    ],
)
def test_steps_of_every_recipe_wait_for_nothing(
    tmp_path: Path, accelerator: Accelerator, space: Space, dataset: Dataset, name: str
) -> None:
    recipe, at_steps = short_recipe(name), []

    def stepped(done: int, total: int, text: str) -> None:
        at_steps.append(len(accelerator.waits))

    device = str(accelerator.device)
    for folder, processes in (("cpu", Processes()), ("there", Processes(device=device))):
        Trainer(
            seeded_supernet(space, 0),
            dataset,
            replace(recipe, precision="fp32"),
            folder=tmp_path / folder,
            processes=processes,
            progress=stepped if folder == "there" else silent,
            latencies=latencies_of(space, recipe),
        ).train()
    assert len(at_steps) == 2 * len(recipe.phases)
    # the second step of a phase: before the first one, the phase before it was saved
    waited = [second - first for first, second in zip(at_steps[::2], at_steps[1::2])]
    assert waited == [WAITS.get(name, 0)] * len(recipe.phases), accelerator.waits
    assert logged_losses(tmp_path / "there") == pytest.approx(
        logged_losses(tmp_path / "cpu"), rel=1e-3
    )


def test_a_training_there_is_resumed_there(
    tmp_path: Path, accelerator: Accelerator, space: Space, dataset: Dataset
) -> None:
    recipe, there = short_recipe("sandwich"), Processes(device=str(accelerator.device))
    recipe = replace(recipe, ema=0.5)
    whole = seeded_supernet(space, 0)
    Trainer(whole, dataset, recipe, folder=tmp_path, processes=there).train()
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    resumed = seeded_supernet(space, 1)
    Trainer(resumed, dataset, recipe, folder=tmp_path, processes=there).resume(last)
    assert next(resumed.parameters()).device == accelerator.device
    weights = whole.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value.cpu(), weights[name].cpu()), name


# -- evaluation and search ------------------------------------------------------------


def test_scores_are_those_of_the_host(
    accelerator: Accelerator, space: Space, dataset: Dataset
) -> None:
    supernet = seeded_supernet(space, 0)
    here = Evaluator(supernet, dataset, calibration_images=64, batch_size=32)
    expected = [here.subnet_score(subnet, "holdout") for subnet in few_subnets(space)]
    device = accelerator.device
    there = Evaluator(
        supernet.to(device), dataset, device=str(device), calibration_images=64, batch_size=32
    )
    for subnet, score in zip(few_subnets(space), expected):
        accelerator.waits.clear()
        found = there.subnet_score(subnet, "holdout")
        assert found.top1 == score.top1
        assert found.loss == pytest.approx(score.loss, rel=1e-5)
        assert len(accelerator.waits) == 1, accelerator.waits  # at the end


def test_a_search_evaluates_there(tmp_path: Path, accelerator: Accelerator, space: Space) -> None:
    recipe = short_recipe("single_path")
    recipe = scaled(recipe, 0.01)
    run = train_supernet(space, recipe, folder=tmp_path / "run", device=str(accelerator.device))
    genes = np.concatenate([largest(run.space()), smallest(run.space())])
    found = Accuracies(run, EngineRequest(device=str(accelerator.device))).measure(genes)
    (run.folder / "evaluations.sqlite").unlink()
    expected = Accuracies(run).measure(genes)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
