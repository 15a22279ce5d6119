import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from supernet.data import Augment, Dataset
from supernet.elastic import ElasticBatchNorm
from supernet.errors import ConfigError, FileFormatError, StorageError, TrainingError
from supernet.models import Supernet, load_weights, save_weights
from supernet.space import Space, Subnet
from supernet.train import (
    Elastic,
    Recipe,
    Trainer,
    distillation_loss,
    list_checkpoints,
    load_checkpoint,
)
from supernet.train.finite import first_not_finite
from tests.cells import SMALL


def _supernet(space: Space) -> Supernet:
    torch.manual_seed(0)
    return Supernet(space)


def _weights(supernet: Supernet) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in supernet.state_dict().items()}


def test_training_lowers_the_loss_and_logs_every_epoch(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    phases = (replace(recipe.phases[0], epochs=20, lr=0.3),)
    trainer = Trainer(
        _supernet(space),
        dataset,
        replace(recipe, phases=phases),
        folder=tmp_path,
        after_phase=lambda phase: {"seen": phase.name},
    )
    trainer.train()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 21))
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]
    assert records[-1]["seen"] == "largest"
    assert records[-1]["lr"] < 0.1 * records[1]["lr"]


def test_the_same_seed_gives_the_same_weights(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    results = []
    for name in ("a", "b"):
        supernet = _supernet(space)
        (tmp_path / name).mkdir()
        Trainer(supernet, dataset, recipe, folder=tmp_path / name, seed=5).train()
        results.append(_weights(supernet))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name]), name


@pytest.mark.parametrize("stop_after", [5, 10, 15])
def test_resuming_from_any_checkpoint_continues_bit_for_bit(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, stop_after: int
):
    whole = _supernet(space)
    (tmp_path / "whole").mkdir()
    Trainer(whole, dataset, recipe, folder=tmp_path / "whole").train()

    class StopError(Exception):
        pass

    def stop(done: int, total: int, text: str) -> None:
        if done == stop_after + 1:
            raise StopError

    folder = tmp_path / "stopped"
    folder.mkdir()
    with pytest.raises(StopError):
        Trainer(_supernet(space), dataset, recipe, folder=folder, progress=stop).train()
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"step": 16, "cut short')  # as a crash may leave it
    resumed = _supernet(space)
    trainer = Trainer(resumed, dataset, recipe, folder=folder)
    trainer.resume(list_checkpoints(folder / "checkpoints")[-1])
    assert trainer.step == stop_after
    trainer.train()
    again = resumed.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again[name]), name
    logs = [
        [json.loads(line)["step"] for line in (f / "metrics.jsonl").read_text().splitlines()]
        for f in (tmp_path / "whole", folder)
    ]
    assert logs[0] == logs[1]


def test_only_the_newest_two_checkpoints_are_kept(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    Trainer(_supernet(space), dataset, recipe, folder=tmp_path).train()
    names = [path.name for path in list_checkpoints(tmp_path / "checkpoints")]
    assert names == ["step-15", "step-18"]
    assert not list((tmp_path / "checkpoints").glob(".*"))


@pytest.mark.parametrize("file", ["supernet.safetensors", "state.pt"])
def test_a_damaged_checkpoint_is_named(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, file: str
):
    Trainer(_supernet(space), dataset, recipe, folder=tmp_path).train()
    newest = list_checkpoints(tmp_path / "checkpoints")[-1]
    content = (newest / file).read_bytes()
    (newest / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match="step-18: damaged checkpoint"):
        Trainer(_supernet(space), dataset, recipe, folder=tmp_path).resume(newest)


def test_a_full_disk_is_named_and_older_checkpoints_stay(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, monkeypatch
):
    from supernet import files
    from supernet.train import checkpoint

    real, calls = files.write_bytes, []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(path, content)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(StorageError, match="no space is left on the disk"):
        Trainer(_supernet(space), dataset, recipe, folder=tmp_path).train()
    assert [p.name for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-5", "step-10"]
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_loss_that_is_not_finite_stops_with_step_and_subnet(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    phases = (replace(recipe.phases[0], lr=100.0, epochs=20, warmup_epochs=0),)
    with pytest.raises(TrainingError, match=r"not finite at step \d+, subnet \d+px"):
        Trainer(
            _supernet(space),
            dataset,
            replace(recipe, phases=phases, momentum=0.99),
            folder=tmp_path,
        ).train()


def test_fewer_images_than_a_batch_are_refused(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    with pytest.raises(ConfigError, match="batch_size: 161 is more than the 160 training images"):
        Trainer(_supernet(space), dataset, replace(recipe, batch_size=161), folder=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"ema": 0.9},
        {"optimizer": "adamw", "weight_decay": 0.05},
        {"precision": "bf16"},
        {"precision": "fp16"},
        {"accumulate": 2},
        {"drop_path": 0.3, "clip_value": 0.05, "clip_norm": 0.2},
        {"non_finite": "skip"},
        {"int8": True},
        {"augment": Augment(crop_area=(0.5, 1.0), flip=True, brightness=0.2, saturation=0.5)},
        {"augment": Augment(auto="trivial", mixup=0.2)},
        {"augment": Augment(auto="rand", cutmix=1.0)},
        {"augment": Augment(auto="auto", erasing=0.5, mixup=0.2, cutmix=1.0), "accumulate": 2},
    ],
    ids=str,
)
def test_every_option_changes_the_weights_and_resumes_bit_for_bit(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, change: dict[str, Any]
):
    asked = replace(recipe, **{key: value for key, value in change.items() if key != "int8"})
    phases = [replace(phase, int8="int8" in change) for phase in asked.phases]
    asked = replace(asked, phases=tuple(phases))
    plain, whole, resumed = (_supernet(space) for _ in range(3))
    Trainer(plain, dataset, recipe, folder=tmp_path / "plain").train()
    Trainer(whole, dataset, asked, folder=tmp_path / "whole").train()
    trainer = Trainer(resumed, dataset, asked, folder=tmp_path / "whole")
    trainer.resume(list_checkpoints(tmp_path / "whole" / "checkpoints")[0])
    assert trainer.step < trainer.total_steps
    trainer.train()
    alike = [torch.equal(a, b) for a, b in zip(whole.parameters(), plain.parameters())]
    assert all(alike) == (change == {"non_finite": "skip"})
    again = resumed.state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again[name]), name


def test_drop_path_in_cells_resumes_bit_for_bit(
    tmp_path: Path, recipe: Recipe, dataset: Dataset
) -> None:
    """It rises over the whole training, also over one that was stopped."""
    space = replace(SMALL["demo_cells"], resolutions=(16,), in_channels=1, num_classes=10)
    phases = tuple(replace(phase, elastic=Elastic(operator=0)) for phase in recipe.phases)
    asked = replace(recipe, phases=phases, drop_path=0.5)
    plain, whole, resumed = (_supernet(space) for _ in range(3))
    Trainer(plain, dataset, replace(asked, drop_path=0.0), folder=tmp_path / "plain").train()
    Trainer(whole, dataset, asked, folder=tmp_path / "whole").train()
    trainer = Trainer(resumed, dataset, asked, folder=tmp_path / "whole")
    trainer.resume(list_checkpoints(tmp_path / "whole" / "checkpoints")[0])
    assert 0 < trainer.step < trainer.total_steps
    trainer.train()
    values, again, other = (one.state_dict() for one in (whole, resumed, plain))
    assert all(torch.equal(value, again[name]) for name, value in values.items())
    assert any(not torch.equal(value, other[name]) for name, value in values.items())


@pytest.mark.parametrize("cells", [False, True])
def test_the_largest_subnet_is_regularised_at_every_input_size(
    tmp_path: Path,
    space: Space,
    recipe: Recipe,
    dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    *,
    cells: bool,
):
    """And each part of a step, and each subnet, by draws of its own."""
    if cells:
        space = replace(SMALL["demo_cells"], resolutions=(16, 24), in_channels=1, num_classes=10)
    phases = (replace(recipe.phases[2], epochs=1.2, elastic=Elastic(kernel=0, operator=0)),)
    asked = replace(recipe, phases=phases, drop_path=0.5, accumulate=2)
    seen: list[tuple[Subnet, int]] = []
    active: list[Subnet] = []
    activate, regularise = Supernet.activate, Supernet.regularise

    def activated(self: Supernet, subnet: Subnet) -> None:
        active.append(subnet)
        activate(self, subnet)

    def regularised(self: Supernet, *, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        if dropout or drop_path:
            seen.append((active[-1], torch.initial_seed()))
        regularise(self, dropout=dropout, drop_path=drop_path)

    monkeypatch.setattr(Supernet, "activate", activated)
    monkeypatch.setattr(Supernet, "regularise", regularised)
    supernet = _supernet(space)
    Trainer(supernet, dataset, asked, folder=tmp_path).train()
    largest = {replace(supernet.largest, resolution=size) for size in space.resolutions}
    found = {subnet for subnet, _ in seen}
    assert found > largest if cells else found == largest
    draws = {seed for _, seed in seen}
    assert len(draws) == len(seen) >= 5 * 2 * (3 if cells else 1)  # parts, subnets


def test_averaged_weights_are_what_a_checkpoint_holds(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    """The average of 19 steps, recomputed from a second training without it."""
    phases = (replace(recipe.phases[0], epochs=4),)
    seen: list[dict[str, torch.Tensor]] = []
    live = _supernet(space)
    trainer = Trainer(
        live,
        dataset,
        replace(recipe, phases=phases),
        folder=tmp_path / "plain",
        progress=lambda done, total, text: seen.append(_weights(live)),
    )
    start = _weights(live)
    trainer.train()
    averaged = _supernet(space)
    asked = replace(recipe, phases=phases, ema=0.8)
    Trainer(averaged, dataset, asked, folder=tmp_path / "ema").train()
    last = list_checkpoints(tmp_path / "ema" / "checkpoints")[-1]
    found = load_checkpoint(last)
    for name, value in dict(live.named_parameters()).items():
        mean = start[name]
        for steps, weights in enumerate(seen):
            keeps = min(0.8, (1 + steps) / (10 + steps))
            mean = keeps * mean + (1 - keeps) * weights[name]
        torch.testing.assert_close(found.weights[name], mean)
        assert found.raw is not None
        assert torch.equal(found.raw[name], value)


def test_parts_of_a_step_give_the_gradient_of_their_mean(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    """Where batch norm and dropout do not see the parts."""
    phases = (replace(recipe.phases[0], epochs=0.2, warmup_epochs=0),)
    space = replace(space, head=replace(space.head, dropout=0.0))
    results = []
    for parts in (1, 4):
        supernet = _supernet(space)
        for module in supernet.modules():
            if isinstance(module, ElasticBatchNorm):
                module.train = lambda mode=True, m=module: m  # type: ignore[method-assign,misc]  # on purpose
                module.training = False
        asked = replace(recipe, phases=phases, accumulate=parts)
        Trainer(supernet, dataset, asked, folder=tmp_path / str(parts)).train()
        results.append(_weights(supernet))
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, msg=name)


def test_steps_whose_gradient_is_not_finite_are_left_out_and_counted(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, monkeypatch
):
    from supernet.train import step as steps

    calls = []

    def sometimes_nan(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        loss = distillation_loss(*args, **kwargs)
        return loss * float("nan") if len(calls) in (3, 7) else loss

    monkeypatch.setattr(steps, "distillation_loss", sometimes_nan)
    phases = (replace(recipe.phases[0], epochs=2),)
    supernet = _supernet(space)
    asked = replace(recipe, phases=phases, non_finite="skip")
    Trainer(supernet, dataset, asked, folder=tmp_path).train()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["skipped"] for record in records] == [1, 2]
    assert all(torch.isfinite(p).all() for p in supernet.parameters())
    kept = load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1])
    assert kept.skipped == 2

    monkeypatch.setattr(steps, "distillation_loss", lambda *a, **k: distillation_loss(*a, **k) / 0)
    phases = (replace(recipe.phases[0], epochs=20),)
    trainer = Trainer(
        _supernet(space), dataset, replace(asked, phases=phases), folder=tmp_path / "all"
    )
    with pytest.raises(TrainingError, match="gradients of 50 steps in a row are not finite"):
        trainer.train()


def _ruin_weight(trainer: Trainer, value: float) -> None:
    next(trainer.supernet.parameters()).data.view(-1)[-1] = value


def _ruin_statistic(trainer: Trainer, value: float) -> None:
    next(b for n, b in trainer.supernet.named_buffers() if "running_var" in n)[-1] = value


def _ruin_average(trainer: Trainer, value: float) -> None:
    assert trainer._average is not None
    trainer._average._mean[-1].view(-1)[0] = value


def _ruin_momentum(trainer: Trainer, value: float) -> None:
    trainer._optimizer.tensors()[-1].view(-1)[0] = value


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        (_ruin_weight, "(weights are|the loss is)"),
        (_ruin_statistic, "batch norm statistics are"),
        (_ruin_average, "averaged weights are"),
        (_ruin_momentum, "(the optimiser's momenta|weights) are"),
    ],
)
def test_nothing_that_is_not_finite_is_kept(
    tmp_path: Path,
    space: Space,
    recipe: Recipe,
    dataset: Dataset,
    ruin: Callable[[Trainer, float], None],
    words: str,
    value: float,
):
    def after(done: int, total: int, text: str) -> None:
        if done == 10:  # the last step of the second epoch
            ruin(trainer, value)

    trainer = Trainer(
        _supernet(space), dataset, replace(recipe, ema=0.9), folder=tmp_path, progress=after
    )
    with pytest.raises(TrainingError, match=rf"^{words} not finite at step 10, ") as caught:
        trainer.train()
    step5 = tmp_path / "checkpoints" / "step-5"
    hint = caught.value.hint
    assert f"the last good checkpoint is that of epoch 1, {step5}" in hint
    assert "lower lr" in hint
    assert "clip_norm" in hint
    assert list_checkpoints(tmp_path / "checkpoints") == [step5]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    kept = load_checkpoint(step5)
    assert kept.raw is not None
    for values in (*kept.weights.values(), *kept.raw.values()):
        assert bool(values.isfinite().all())


def test_a_large_value_is_not_taken_for_one_that_is_not_finite():
    """The sum of its squares is."""
    huge = torch.tensor([3e30, -3e30])
    assert first_not_finite({"huge": [huge], "empty": [huge[:0]], "whole": [huge.long()]}) is None
    assert first_not_finite({"fine": [huge], "bad": [huge, huge * 1e30]}) == "bad"
    assert first_not_finite({"bad": [torch.tensor([1.0, float("nan")])]}) == "bad"


def test_statistics_of_a_step_that_is_left_out_begin_anew(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset, monkeypatch
):
    from supernet.train.batches import Batches

    get = Batches.get

    def once_ruined(self: Batches, step: int, part: int, resolution: int) -> Any:
        images, labels = get(self, step, part, resolution)
        return (images * float("nan") if step == 3 else images), labels

    monkeypatch.setattr(Batches, "get", once_ruined)
    asked = replace(recipe, phases=(replace(recipe.phases[0], epochs=2),), non_finite="skip")
    Trainer(_supernet(space), dataset, asked, folder=tmp_path).train()
    kept = load_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1])
    assert (kept.step, kept.skipped) == (10, 1)
    assert all(bool(values.isfinite().all()) for values in kept.weights.values())


def test_a_checkpoint_of_an_older_version_that_is_not_finite_is_no_good_one(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    trainer = Trainer(_supernet(space), dataset, recipe, folder=tmp_path)
    trainer.train()
    newest = list_checkpoints(tmp_path / "checkpoints")[-1] / "supernet.safetensors"
    _ruin_statistic(trainer, float("nan"))
    save_weights(newest, trainer.supernet.state_dict())
    with pytest.raises(FileFormatError, match="holds values that are not finite") as caught:
        load_weights(newest, _supernet(space))
    assert "remove its folder" in caught.value.hint


def test_metrics_are_tensorboard_events_too(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    Trainer(_supernet(space), dataset, recipe, folder=tmp_path).train()
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == [record["step"] for record in records]
    assert losses[-1].value == pytest.approx(records[-1]["loss"], rel=1e-6)


def test_what_was_noted_before_the_first_checkpoint_is_not_noted_twice(
    tmp_path: Path, space: Space, recipe: Recipe, dataset: Dataset
):
    """A process may be killed after it wrote the line and before the checkpoint."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "epoch": 1.0}\n')
    recipe = replace(recipe, phases=recipe.phases[:1])
    Trainer(_supernet(space), dataset, recipe, folder=tmp_path).train()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [5]
