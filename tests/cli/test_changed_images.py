"""Images that change after a training: noticed, told, and measured anew or refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from supernet.evaluate import Evidence
from supernet.runs import Run
from supernet.train import list_checkpoints
from supernet.workflow.held_out import few_told
from tests.cli.conftest import RECIPE, SPACE, Command, Result, run_command
from tests.data.painted import paint

TRAIN = ("train", "--data", "photos", "--space", "tiny.yaml", "--recipe", "recipe.yaml")
QUALITY = ("quality", "--subnets", 1, "--json")
NOTE = "not the images that the run was trained with"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a run that was trained on ``photos``; to be read only."""
    folder = tmp_path_factory.mktemp("changed")
    (folder / "tiny.yaml").write_text(SPACE)
    (folder / "recipe.yaml").write_text(RECIPE.replace("batch_size: 64", "batch_size: 8"))
    for k, name in enumerate(("ant", "bee", "cow")):
        for i in range(14):
            split = "train" if i < 10 else "val"
            paint(folder / "photos" / split / name / f"{i}.png", 40 * k + i)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SUPERNET_HOME", str(folder / "home"))
        for arguments in ((*TRAIN, "--run", "runs/a"), QUALITY):
            found = run_command(*arguments)
            assert found.code == 0, found.stderr
            assert "measured anew" not in found.stderr
            assert "trained with" not in found.stderr
    return folder


@pytest.fixture
def supernet(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a copy of it."""
    shutil.copytree(once, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    config = Path("runs/a/config.yaml")
    here = config.read_text().replace(str(once), str(tmp_path / "copy"))
    config.write_text(here)
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path / "home"))
    return run_command


def swap() -> None:
    for split in ("train", "val"):
        where = Path("photos", split)
        (where / "ant").rename(where / "aside")
        (where / "bee").rename(where / "ant")
        (where / "aside").rename(where / "bee")


def add() -> None:
    for number in (1, 2):
        paint(Path("photos/train/ant", f"new{number}.png"), 120 + number)


def measured(result: Result) -> list[float]:
    assert result.code == 0, result.stderr
    return [row["top1"] for row in result.json["subnets"]]


def conditions() -> list[Any]:
    return Evidence(Run(Path("runs/a")).evidence).conditions()


def test_a_run_keeps_which_images_it_was_trained_with(supernet: Command) -> None:
    config = Run(Path("runs/a")).config()
    assert sorted(config.fingerprints) == ["holdout", "test", "train"]
    assert Path("runs/a/images.npz").is_file()


def test_a_folder_that_was_copied_elsewhere_is_the_same(supernet: Command) -> None:
    known = conditions()
    result = supernet(*QUALITY)
    measured(result)
    assert NOTE not in result.stderr
    assert [one.fingerprint for one in conditions()] == [known[0].fingerprint] * len(conditions())
    assert supernet("train", "--resume").code == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (swap, "class folders 'ant' and 'bee' hold each other's training images (10 and 10)"),
        (add, "2 training images added to 'ant'"),
    ],
)
def test_accuracies_on_other_images_are_measured_anew(
    supernet: Command, change: Callable[[], None], told: str
) -> None:
    before = {one.fingerprint for one in conditions()}
    change()
    result = supernet(*QUALITY)
    measured(result)
    assert result.stderr.count(NOTE) == 1
    assert told in result.stderr
    assert "evaluating subnets: 1 of 3" in result.stderr
    assert len({one.fingerprint for one in conditions()} - before) == 1
    again = supernet(*QUALITY)
    assert measured(again) == measured(result)
    assert "evaluating subnets" not in again.stderr
    refused = supernet("train", "--resume")
    assert refused.code == 2
    assert told in refused.stderr
    assert "so the training cannot go on as if it had never stopped" in refused.stderr


def test_accuracies_on_the_old_images_come_back_with_them(supernet: Command) -> None:
    before = measured(supernet(*QUALITY))
    add()
    supernet(*QUALITY)
    for number in (1, 2):
        Path("photos/train/ant", f"new{number}.png").unlink()
    again = supernet(*QUALITY)
    assert measured(again) == before
    assert "evaluating" not in again.stderr


def test_a_training_goes_on_where_only_test_images_have_changed(supernet: Command) -> None:
    Path("photos/val/ant/11.png").unlink()
    result = supernet("train", "--resume")
    assert result.code == 0
    assert "1 test image gone from 'ant'" in result.stderr


def test_search_and_export_tell_it(supernet: Command) -> None:
    add()
    search = supernet("search", "--measure", "--budget", 3, "--objective", "macs")
    assert search.code == 0, search.stderr
    assert search.stderr.count("2 training images added to 'ant'") == 1
    export = supernet("export", "subnet.json", "--onnx", "-o", "net")
    assert export.code == 0, export.stderr
    assert export.stderr.count("2 training images added to 'ant'") == 1


def test_a_search_says_first_what_it_lacks(
    supernet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("measured a table")

    monkeypatch.setattr("supernet.workflow.search.tables_of", refuse)
    Path("photos").rename("elsewhere")
    learned, measured = ("--pairs", 10), ("--measure", "--algorithm", "random", "--budget", 3)
    for asked in (learned, measured):  # what `quality` measured is too little to learn from
        result = supernet("search", "--run", "runs/a", *asked)
        assert result.code == 2
        assert "photos: no such images" in result.stderr.splitlines()[-1]
        Run(Path("runs/a")).evidence.unlink()
    Path("elsewhere").rename("photos")
    shutil.rmtree("runs/a/checkpoints")
    result = supernet("search", "--run", "runs/a")
    assert result.code == 2
    assert "no checkpoint in it" in result.stderr.splitlines()[-1]


def test_few_held_out_images_are_told_once(supernet: Command) -> None:
    count = Run(Path("runs/a")).config().holdout_images
    told = f"on {count} held-out images, where one is {100 / count:.3g} points"
    search = supernet("search", "--measure", "--budget", 3, "--objective", "macs")
    assert search.code == 0, search.stderr
    assert search.stderr.count(told) == 1
    export = supernet("export", "subnet.json", "--onnx", "--int8", "-o", "net")
    assert export.code == 0, export.stderr
    assert export.stderr.count(told) == 1
    assert "chosen on" not in supernet("export", "subnet.json", "--onnx", "-o", "other").stderr


def test_enough_held_out_images_are_not_told() -> None:
    assert few_told(100, "chosen") == few_told(0, "chosen") == ""
    assert few_told(8, "chosen").startswith("chosen on 8 held-out images, where one is 12.5 points")


def test_other_classes_are_refused_by_name(supernet: Command) -> None:
    paint(Path("photos/train/fox/0.png"), 5)
    result = supernet(*QUALITY)
    assert result.code == 2
    assert "its classes are not those that the run was trained with (new: 'fox')" in result.stderr
    assert NOTE not in result.stderr


def test_what_was_measured_is_there_without_the_images(supernet: Command) -> None:
    before = conditions()
    Path("photos").rename("elsewhere")
    assert Run(Path("runs/a")).condition("test") == before[0]


def test_a_run_without_fingerprints_keeps_its_images_and_accuracies(supernet: Command) -> None:
    path = Path("runs/a/config.yaml")
    document = yaml.safe_load(path.read_text())
    del document["fingerprints"]
    path.write_text(yaml.safe_dump(document))
    Path("runs/a/images.npz").unlink()
    run = Run(Path("runs/a"))
    assert run.condition("test").fingerprint == ""
    # as they were held out by: the same share of every class, drawn with the seed
    assert sorted(run.dataset().holdout.labels.tolist()) == [0, 1, 2]
    add()
    result = supernet(*QUALITY)
    measured(result)
    assert NOTE not in result.stderr


def test_what_is_trained_from_a_run_holds_out_the_same_images(supernet: Command) -> None:
    found = supernet("search", "--measure", "--budget", 3, "--objective", "macs")
    assert found.code == 0, found.stderr
    result = supernet("finetune", "subnet.json", "--epochs", 0.5)
    assert result.code == 0, result.stderr
    child = next(Path("runs/a/finetune").iterdir())
    assert Run(child).config().fingerprints == Run(Path("runs/a")).config().fingerprints


def test_what_was_left_out_is_told_before_the_training(supernet: Command) -> None:
    Path("photos/train/ant/notes.txt").write_text("")
    result = supernet(*TRAIN, "--run", "runs/b")
    assert result.code == 0, result.stderr
    lines = result.stderr.splitlines()
    assert "note: left out 1 file: 1 not images" in lines
    assert lines.index("note: left out 1 file: 1 not images") < next(
        number for number, line in enumerate(lines) if line.startswith("training")
    )


@pytest.mark.slow
def test_a_folder_holds_files_of_the_same_images_alone(supernet: Command) -> None:
    """Of others, a network has other statistics: a card must not tell both as one."""
    from supernet.space import SubnetFile, decode, largest

    space = Run(Path("runs/a")).space()
    SubnetFile.of(space, decode(space, largest(space))[0]).save(Path("big.json"))
    export = ("export", "big.json", "--run", "runs/a", "-o", "net")
    assert supernet(*export, "--onnx").code == 0
    found = supernet(*export, "--pytorch")
    assert found.code == 0, found.stderr
    assert [*SubnetFile.load(Path("net/subnet.json")).measured["files"]] == [
        "model.onnx",
        "model.safetensors",
    ]
    shutil.copytree("photos", "others")
    for path in Path("others").rglob("?.png"):
        paint(path, 3 + int(path.stem))
    found = supernet(*export, "--pytorch", "--data", "others")
    assert found.code == 0, found.stderr
    assert [*SubnetFile.load(Path("net/subnet.json")).measured["files"]] == ["model.safetensors"]
    assert not Path("net/model.onnx").exists()


@pytest.mark.parametrize("file", ["supernet.safetensors", "state.pt"])
def test_a_damaged_checkpoint_is_told_before_images_are_looked_for(
    supernet: Command, file: str
) -> None:
    Path("photos").rename("elsewhere")
    newest = list_checkpoints(Path("runs/a/checkpoints"))[-1]
    whole = (newest / file).read_bytes()
    (newest / file).write_bytes(whole[: len(whole) // 2])
    refused = supernet("train", "--resume")
    assert refused.code == 2
    assert f"{newest.name}: damaged checkpoint" in refused.stderr
    (newest / file).write_bytes(whole)
    assert "photos: no such folder" in supernet("train", "--resume").stderr
