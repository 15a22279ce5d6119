"""The auxiliary head of cells: what it reads, and that it is there in training alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from supernet.data import Dataset
from supernet.errors import ConfigError, FileFormatError
from supernet.models import Supernet, extract
from supernet.space import Space, decode, load_space, sample, slot_operators
from supernet.space.subnet import subnet_values
from supernet.train import (
    Elastic,
    Phase,
    Processes,
    Recipe,
    Trainer,
    check_auxiliary,
    check_norms,
    list_checkpoints,
    load_checkpoint,
)
from supernet.train.auxiliary import AuxiliaryHead, Trained, auxiliary_head
from tests.cells import SMALL

SLOW = pytest.mark.slow

EVERYTHING = Elastic(operator=0)


def asked(**changes: Any) -> Recipe:
    phases = (
        Phase(name="first", epochs=0.4, lr=0.05, elastic=EVERYTHING, subnets=("random",)),
        Phase(
            name="both",
            epochs=0.4,
            lr=0.05,
            elastic=EVERYTHING,
            subnets=("largest", "random"),
            distill=0.5,
            teacher="in_place",
        ),
    )
    return Recipe(name="near", batch_size=32, phases=phases, **{"auxiliary": 0.4, **changes})


def grey(resolution: int = 28) -> Space:
    space = SMALL["demo_cells"]
    assert space.cells is not None
    few = replace(space.cells, nodes=2, filters=4, operations=("identity", "sep3"))
    return replace(space, resolutions=(resolution,), cells=few, in_channels=1, num_classes=10)


def test_it_is_the_published_head() -> None:
    """``build_aux_head`` of TensorFlow's ``nasnet.py``, at the place that it names."""
    space = replace(load_space("nasnet_cifar"), num_classes=10)
    assert space.cells is not None
    supernet = Supernet(replace(space, cells=replace(space.cells, operations=("sep3",))))
    head = AuxiliaryHead(supernet)
    sizes = [tuple(p.shape) for p in head.parameters() if p.ndim > 1]
    # six states of 64 channels, 16x16 pooled to 4x4
    assert sizes == [(128, 6 * 64, 1, 1), (768, 128, 4, 4), (10, 768)]
    assert space.cells.second_group_ends == 13


@pytest.mark.parametrize("name", SMALL)
def test_it_reads_what_the_next_cell_reads_channel_for_channel(name: str) -> None:
    """By hand: the map found in the plain network, the columns picked state by state."""
    cells = SMALL[name].cells
    assert cells is not None
    space = replace(SMALL[name], resolutions=(96 if cells.stem_cells else 32,))
    supernet = Supernet(space)
    head = AuxiliaryHead(supernet)
    trained = Trained(supernet, head)
    image = torch.randn(4, 3, *space.resolutions * 2)
    following = f"cell{cells.second_group_ends + 1}.cur"
    for subnet in decode(space, sample(space, 4, np.random.default_rng(0))):
        supernet.activate(subnet)
        logits, near = trained(image)
        network = extract(supernet, subnet)
        names = [slot.name for slot, _ in slot_operators(space, subnet)]
        seen: list[torch.Tensor] = []
        layer = network.layers[names.index(following)]
        layer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        torch.testing.assert_close(network(image), logits, atol=1e-5, rtol=1e-5)
        (slot,) = (p.slot for p in supernet.places if p.slot.name == following)
        values = subnet_values(supernet.layout, subnet)
        key = [values[dimension.name] for dimension in slot.dimensions]
        spans = [(0, seen[0].shape[1])] if slot.picks is None else slot.picks(*key)
        weight = torch.cat([head.narrow.conv.weight[:, start:end] for start, end in spans], 1)
        x = nn.functional.avg_pool2d(seen[0].relu(), 5, 3)
        for one in (weight, head.whole.conv.weight):
            x = nn.functional.conv2d(x, one)
            x = nn.functional.batch_norm(x, None, None, training=True, eps=space.bn_eps).relu()
        torch.testing.assert_close(near, head.linear(x.flatten(1)), atol=1e-4, rtol=1e-4)


def test_smaller_sizes_are_read_by_the_middle_of_the_window() -> None:
    supernet = Supernet(replace(grey(), resolutions=(32, 56)))
    head = AuxiliaryHead(supernet)
    assert head.whole.conv.weight.shape[2:] == (4, 4)
    trained = Trained(supernet, head)
    small, large = (replace(supernet.largest, resolution=size) for size in (32, 56))
    for subnet, middle in ((small, slice(1, 3)), (large, slice(0, 4))):
        supernet.activate(subnet)
        trained(torch.randn(4, 1, subnet.resolution, subnet.resolution))[1].sum().backward()
        seen = head.whole.conv.weight.grad
        assert seen is not None
        assert (seen[:, :, middle, middle] != 0).any((0, 1)).all()
        assert subnet is large or not seen[:, :, 0].any()
        head.zero_grad()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, marks=SLOW),
        {"ema": 0.9, "precision": "bf16"},
        pytest.param({"accumulate": 2, "clip_norm": 0.5, "optimizer": "adamw"}, marks=SLOW),
        pytest.param({"non_finite": "skip", "drop_path": 0.3}, marks=SLOW),
    ],
    ids=str,
)
def test_it_trains_the_cells_before_it_and_resumes_bit_for_bit(
    tmp_path: Path, dataset: Dataset, change: dict[str, Any]
) -> None:
    plain, whole, resumed = (_supernet(grey()) for _ in range(3))
    without = asked(**change, auxiliary=0.0)
    Trainer(plain, dataset, without, folder=tmp_path / "plain").train()
    Trainer(whole, dataset, asked(**change), folder=tmp_path / "whole").train()
    first, last = list_checkpoints(tmp_path / "whole" / "checkpoints")
    trainer = Trainer(resumed, dataset, asked(**change), folder=tmp_path / "whole")
    trainer.resume(first)
    assert 0 < trainer.step < trainer.total_steps
    before = load_checkpoint(last)
    trainer.train()
    after, alone = load_checkpoint(last), plain.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    for name, value in before.auxiliary.items():
        assert torch.equal(value, after.auxiliary[name]), name
    assert bool(before.raw_auxiliary) == ("ema" in change)
    assert before.weights.keys() == alone.keys()  # nothing of it among the supernet's
    differ = {name for name, value in alone.items() if not torch.equal(value, before.weights[name])}
    assert any(name.startswith("slots.cell1_") for name in differ)


def test_of_the_same_seed_only_its_loss_makes_a_difference(
    tmp_path: Path, dataset: Dataset
) -> None:
    """Its weight 0 and none are the same training; its own weights hang on the seed alone."""
    space = grey()
    heads = [auxiliary_head(_supernet(space), asked(), seed) for seed in (3, 3, 4)]
    states = [Trained(_supernet(space), head).head_state() for head in heads]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not torch.equal(states[0]["linear.weight"], states[2]["linear.weight"])
    assert auxiliary_head(_supernet(space), asked(auxiliary=0.0), 3) is None
    images, labels = torch.randn(32, 1, 28, 28), torch.arange(32) % 10
    trained = Trained(_supernet(space), heads[0])
    main, near = (nn.functional.cross_entropy(one, labels) for one in trained(images))
    near.backward(retain_graph=True)
    last = f"slots.cell{space.cells.second_group_ends + 1}" if space.cells else ""
    reached = {n for n, p in trained.supernet.named_parameters() if p.grad is not None}
    assert any(name.startswith("slots.cell3_") for name in reached)
    assert not any(name.startswith((last, "slots.head")) for name in reached)
    assert main.isfinite()


def test_a_checkpoint_without_it_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    Trainer(_supernet(grey()), dataset, asked(auxiliary=0.0), folder=tmp_path).train()
    trainer = Trainer(_supernet(grey()), dataset, asked(), folder=tmp_path)
    with pytest.raises(FileFormatError, match="another auxiliary head, or with none"):
        trainer.resume(list_checkpoints(tmp_path / "checkpoints")[0])


def test_where_it_cannot_stand_is_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"auxiliary: 0\.4 asks .* space 'demo' has none"):
        check_auxiliary(load_space("demo"), asked())
    check_auxiliary(load_space("demo"), asked(auxiliary=0.0))
    with pytest.raises(ConfigError, match=r"5x5 pixels, and at 16 px .* have 4x4"):
        check_auxiliary(replace(grey(), resolutions=(16, 32)), asked())
    check_auxiliary(grey(28), asked())
    with pytest.raises(ConfigError, match="norms of the auxiliary head one image at a time"):
        check_norms(grey(), asked(accumulate=32), Processes())
    with pytest.raises(ConfigError, match=r"auxiliary: must be from 0 to below 1, found 1.5"):
        asked(auxiliary=1.5)


def _supernet(space: Space) -> Supernet:
    torch.manual_seed(0)
    return Supernet(space)
