import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from supernet.data import Dataset
from supernet.errors import ConfigError, FileFormatError, StorageError, TrainingError
from supernet.models import Supernet
from supernet.space import Space
from supernet.train import Recipe, Trainer, list_checkpoints
from supernet.train.loss import distillation_loss


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
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
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


def test_distillation_is_a_weighted_sum_of_two_cross_entropies():
    torch.manual_seed(0)
    logits, teacher = torch.randn(5, 4), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    hard = torch.nn.functional.cross_entropy(logits, labels)
    soft = -(teacher.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    found = distillation_loss(logits, labels, teacher, weight=0.3, smoothing=0.0)
    torch.testing.assert_close(found, 0.7 * hard + 0.3 * soft)
