"""On whose images networks are compared."""

from pathlib import Path

import pytest

from supernet.errors import ConfigError
from supernet.runs import Run, RunConfig
from supernet.space import Space, SubnetFile, decode, largest
from supernet.workflow.evaluation import EvaluateRequest, _run_of


def run_on(folder: Path, space: Space, images: str) -> Run:
    """A run without weights, of images with this fingerprint."""
    config = RunConfig(
        data=f"/{images}",
        classes=tuple("abcde"),
        in_channels=3,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        recipe={},
        fingerprints={"train": images, "holdout": images, "test": images},
    )
    return Run.create(folder, space, config)


def subnet_in(run: Run) -> Path:
    space = run.space()
    path = run.searches / "found" / "subnet.json"
    SubnetFile.of(space, decode(space, largest(space))[0]).save(path)
    return path


def test_files_are_measured_on_the_images_of_their_run_and_not_of_the_newest(
    tiny_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = (run_on(Path("runs") / name, tiny_space, name) for name in ("old", "new"))
    exported = old.exports / "subnet" / "model.onnx"
    subnet, elsewhere = subnet_in(old), Path("theirs.onnx")
    for paths in ([exported], [elsewhere, exported], [subnet], [elsewhere, subnet]):
        found = _run_of(paths, EvaluateRequest())
        assert found is not None
        assert found.folder.resolve() == old.folder.resolve()
    assert _run_of([elsewhere], EvaluateRequest()) is None  # the newest
    for asked in (EvaluateRequest(data="photos"), EvaluateRequest(run=new.folder)):
        assert _run_of([subnet], asked) is None


def test_subnets_of_runs_with_other_images_are_not_compared(
    tiny_space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("one", "two", "one")
    runs = [run_on(Path(f"runs/{n}"), tiny_space, name) for n, name in enumerate(names)]
    first, second, same = (subnet_in(run) for run in runs)
    assert _run_of([first, same], EvaluateRequest())
    with pytest.raises(ConfigError, match="whose images are not those of") as error:
        _run_of([first, second], EvaluateRequest())
    assert "--data" in error.value.hint
