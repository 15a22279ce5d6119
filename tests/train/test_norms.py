"""A batch norm that would see one value a channel is refused before training."""

from dataclasses import replace

import pytest
import torch

from supernet.data import Dataset
from supernet.errors import ConfigError
from supernet.models import Supernet
from supernet.space import Space, decode
from supernet.train import Phase, Processes, Recipe, check_norms, phase_genes
from supernet.train.batches import Batches


@pytest.fixture
def deep(space: Space) -> Space:
    """Its maps have a sixteenth of the images' size at last."""
    return replace(space, stages=space.stages * 3)


def step_works(space: Space, phase: Phase, images: int) -> bool:
    """Whether torch takes so many images in train mode, at every size of a phase."""
    for resolution in space.resolutions:
        only = replace(space, resolutions=(resolution,))
        subnet = decode(only, phase_genes(only, replace(phase, subnets=("smallest",)), 0, 0))[0]
        one = Supernet(only).train()
        one.activate(subnet)
        try:
            one(torch.zeros(images, space.in_channels, resolution, resolution))
        except ValueError as error:
            assert "more than 1 value per channel" in str(error)  # noqa: PT017  # torch's own words
            return False
    return True


@pytest.mark.parametrize("resolutions", [(8,), (8, 32), (16,), (17, 32), (32,)])
@pytest.mark.parametrize("batch", [1, 2])
def test_what_torch_could_not_train_is_refused_and_nothing_else(
    deep: Space, recipe: Recipe, resolutions: tuple[int, ...], batch: int
) -> None:
    tiny = replace(deep, resolutions=resolutions)
    phase = recipe.phases[0]
    everything = replace(phase, elastic=replace(phase.elastic, resolution=0))
    asked = replace(recipe, batch_size=batch, phases=(everything,))
    try:
        check_norms(tiny, asked, Processes())
    except ConfigError as error:
        assert f"last maps are 1x1 at {resolutions[0]} px in phase 'largest'" in str(error)  # noqa: PT017  # both ends are right
        assert "--batch-size" in error.hint  # noqa: PT017  # likewise
        assert not step_works(tiny, everything, batch)
    else:
        assert step_works(tiny, everything, batch)


@pytest.mark.parametrize(
    ("batch", "accumulate", "count", "sync", "fits"),
    [
        (8, 8, 1, True, False),  # parts of one image
        (8, 4, 1, True, True),
        (4, 1, 4, False, False),  # each process norms its own image
        (4, 1, 4, True, True),  # all processes norm together
        (4, 4, 1, False, False),
    ],
)
def test_parts_and_processes_are_counted(
    deep: Space, recipe: Recipe, batch: int, accumulate: int, count: int, sync: bool, fits: bool
) -> None:
    tiny = replace(deep, resolutions=(16,))
    asked = replace(recipe, batch_size=batch, accumulate=accumulate, sync_norm=sync)
    processes = Processes(rank=0, count=count)
    if fits:
        check_norms(tiny, asked, processes)
        return
    with pytest.raises(ConfigError, match="one image at a time"):
        check_norms(tiny, asked, processes)


def test_every_batch_of_an_epoch_is_whole(dataset: Dataset) -> None:
    batches = Batches(dataset, batch_size=159)  # of 160 images: one is left over
    sizes = {len(batches.get(step, 0, 16)[1]) for step in range(3)}
    batches.close()
    assert batches.steps_per_epoch == 1
    assert sizes == {159}
