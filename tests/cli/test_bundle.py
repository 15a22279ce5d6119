"""Several subnets in one folder that holds their weights once."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from supernet.export.formats.onnx import open_onnx

from supernet.runs import Run
from supernet.search import (
    Accuracy,
    Budget,
    Problem,
    latency_name,
    macs,
    new_result_folder,
    run_search,
    save_result,
)
from supernet.space import Domain, SubnetFile, decode, largest, smallest
from tests.cli.conftest import Command, Result, run_command

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def bundled(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Path], Result]:
    """A bundle of the smallest and the largest subnet, and their files."""
    folder = tmp_path_factory.mktemp("bundle")
    run = Run(next((trained / "runs").iterdir()))
    space = run.space()
    files = []
    for name, genes in {"small": smallest(space), "large": largest(space)}.items():
        file = SubnetFile.of(space, decode(space, genes)[0], checkpoint=run.checkpoint(folder))
        file.save(folder / f"{name}.json")
        files.append(folder / f"{name}.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        patch.setenv("SUPERNET_HOME", str(trained / "home"))
        what = ",".join(map(str, files))
        found = run_command("export", "--bundle", what, "-o", folder / "net", "--json")
    assert found.code == 0, found.stderr
    return folder / "net", files, found


@pytest.fixture(scope="module")
def fronted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`trained` with a search in which larger subnets are slower and more accurate.

    In the search of `trained` itself both are measured, and the fastest subnet of so small a space
    may well be the most accurate one.
    """
    folder = shutil.copytree(
        trained, tmp_path_factory.mktemp("fronted") / "copy", copy_function=shutil.copy2
    )
    run = Run(next((folder / "runs").iterdir()))
    space, own = run.space(), run.searches / "this_machine"
    shutil.rmtree(own)
    name, cost = latency_name("this_machine"), macs(space)
    slower = replace(cost, name=name, unit="ms", target="this_machine")
    problem = Problem(domain=Domain.of(space), objectives=(Accuracy(function=cost), slower))
    result = run_search(problem, budget=Budget(scored=300))
    request = {"targets": ["this_machine"], "seed": 0}
    save_result(result, new_result_folder(run.searches, own.name), request=request)
    return folder


@pytest.fixture
def in_fronted(fronted: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in the working directory of `fronted`."""
    monkeypatch.setenv("SUPERNET_HOME", str(fronted / "home"))
    monkeypatch.chdir(fronted)
    return run_command


def test_each_network_gives_the_bits_of_its_own_export(
    bundled: tuple[Path, list[Path], Result], in_trained: Command, tmp_path: Path
):
    folder, files, found = bundled
    alone = 0
    for file in files:
        done = in_trained("export", file, "--onnx", "-o", tmp_path / file.stem)
        assert done.code == 0, done.stderr
        own = open_onnx(tmp_path / file.stem / "model.onnx")
        shared = open_onnx(folder / f"{file.stem}.onnx")
        sizes = [size or 1 for size in own.input.shape[1:]]
        images = np.random.default_rng(0).standard_normal((8, *sizes), np.float32)
        assert np.array_equal(own.logits([images]), shared.logits([images]))
        alone += (tmp_path / file.stem / "model.onnx").stat().st_size
    assert found.json["alone_bytes"] == alone
    files_of = [*folder.glob("weights-*.bin"), *folder.glob("*.onnx")]
    assert found.json["bytes"] == sum(path.stat().st_size for path in files_of)
    levels = json.loads((folder / "bundle.json").read_text())["levels"]
    assert levels == found.json["levels"]
    assert [level["name"] for level in levels] == ["small", "large"]  # the fastest first


def test_the_folder_answers_to_a_stranger(bundled: tuple[Path, list[Path], Result]):
    folder, _, _ = bundled

    def ran(*arguments: object) -> str:
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout

    assert ran("-E", "-s", "predict.py", "--check").count(": ok") == 4
    sample = next((folder / "samples").glob("1_*.png"))
    assert ran("adaptive.py", sample, sample, "--ms", 1e6).count("network 2 of 2") == 2
    # the fastest where none is in time; the first frame is the most accurate one's
    slow = ran("adaptive.py", sample, sample, sample, "--ms", 1e-6).splitlines()
    assert [line.split("network ")[1][0] for line in slow] == ["2", "1", "1"]
    assert "supernet" not in (folder / "adaptive.py").read_text()


@pytest.mark.slow
def test_eval_counts_what_networks_share(
    bundled: tuple[Path, list[Path], Result], in_trained: Command
):
    folder, _, made = bundled
    found = in_trained("eval", folder, "--json")
    assert found.code == 0, found.stderr
    levels = {level["file"]: level for level in made.json["levels"]}
    shared = next(folder.glob("weights-*.bin")).stat().st_size
    for row in found.json["files"]:
        level = levels[Path(row["path"]).name]
        assert row["top1"] == level["top1"]
        assert row["macs"] == level["macs"]
        own = row["size_bytes"] - level["bytes"]
        assert own == (shared if level["name"] == "large" else 0)  # small: nothing worth sharing
    table = found.stdout.splitlines()[:-1]  # names that tell files apart are enough in it
    assert str(folder) not in "".join(table)


def test_a_front_is_enough(in_fronted: Command, tmp_path: Path):
    """Of a search: the chosen subnet, one of half its latency, and one between them."""
    found = in_fronted("export", "--bundle", "front", "-o", tmp_path / "net", "--json")
    assert found.code == 0, found.stderr
    levels = {level["name"]: level for level in found.json["levels"]}
    names = ["fast", "balanced", "accurate"]
    assert {*names} == {*levels}
    predicted = [levels[name]["predicted_ms"] for name in names]
    assert predicted == sorted(predicted)
    assert {level["predicted_for"] for level in levels.values()} == {"this_machine"}
    assert (tmp_path / "net" / "fast.json").is_file()


@pytest.mark.slow
def test_only_files_of_the_earlier_bundle_are_replaced(
    bundled: tuple[Path, list[Path], Result], in_trained: Command, tmp_path: Path
):
    earlier, files, _ = bundled
    folder, other = tmp_path / "net", tmp_path / "other.json"
    shutil.copy(files[0], other)
    shutil.copytree(earlier, folder)
    own = ["small.mp4", "large.notes.txt", "keep.txt", "samples/mine.txt"]
    for name in own:
        (folder / name).write_text("mine")
    body = json.loads((folder / "bundle.json").read_text())
    body["levels"] += [{"name": "*"}, {"name": "../other"}]
    (folder / "bundle.json").write_text(json.dumps(body))
    second = in_trained("export", "--bundle", f"{other},{files[1]}", "-o", folder)
    assert second.code == 0, second.stderr
    assert all((folder / name).read_text() == "mine" for name in own)
    assert other.is_file()
    networks = {path.name for path in folder.iterdir() if path.suffix in (".onnx", ".json", ".bin")}
    weights = next(folder.glob("weights-*.bin")).name
    expected = {"other.onnx", "other.json", "large.onnx", "large.json", "bundle.json", weights}
    assert networks == expected


def test_weights_that_are_cut_short_are_named(
    bundled: tuple[Path, list[Path], Result], in_trained: Command, tmp_path: Path
):
    folder = tmp_path / "net"
    shutil.copytree(bundled[0], folder)
    weights = next(folder.glob("weights-*.bin"))
    weights.write_bytes(weights.read_bytes()[:100])
    found = in_trained("eval", folder / "large.onnx")
    assert found.code == 2
    assert f"{weights.name} beside it has 100 bytes of " in found.stderr
    weights.unlink()
    found = in_trained("eval", folder / "large.onnx")
    assert f"{weights.name} beside it is not there" in found.stderr


def test_the_most_accurate_in_time_answers_and_comes_back(
    bundled: tuple[Path, list[Path], Result], tmp_path: Path
):
    folder = tmp_path / "net"
    shutil.copytree(bundled[0], folder)
    body = json.loads((folder / "bundle.json").read_text())
    body["levels"][0]["top1"], body["levels"][1]["top1"] = 99.0, 1.0  # slower and no better
    (folder / "bundle.json").write_text(json.dumps(body))
    code = """
from adaptive import Adaptive
from PIL import Image
frame = Image.new("RGB", (64, 64))
adaptive = Adaptive(1e6)
print(adaptive.level, end=" ")
adaptive.top1 = [1.0, 99.0]
adaptive.cost = [1.0, 2.0]
for ms, preparing, run in [(40, 30, 2), (40, 30, 90), *[(40, 30, 1)] * 40]:
    adaptive.ms, adaptive.level = ms, adaptive.level
    times = (("a", 1.0),), preparing, run
    adaptive.timed = lambda network, frame, times=times: times
    adaptive.best(frame)
    print(adaptive.level, end=" ")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    levels = [int(word) for word in done.stdout.split()]
    assert levels[:3] == [0, 1, 0]  # the better one; a slow frame; what is in time then
    assert levels[-1] == 1  # preparing takes long in all frames, and is no slowness


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bundle", "front", "--int8"], "in fp32"),
        (["--bundle", "front", "--pytorch"], "ONNX files"),
        (["--bundle", "nosuch"], "no result 'nosuch'"),
        (["--bundle", "a.json"], "a.json: no such file"),
        (["--bundle", "subnet.json"], "two or more files"),
        (["--bundle", "subnet.json,subnet.json"], "of different names"),
        (["subnet.json", "--bundle", "front"], "takes no subnet beside it"),
        (["--bundle", "front", "--most-lost", "2"], "most-lost: does not apply"),
        (["--bundle", "a,b"], "a: no such file"),
    ],
)
def test_what_cannot_be_bundled(in_trained: Command, arguments: list[str], message: str):
    found = in_trained("export", *arguments)
    assert found.code == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", ["bundle", "subnet", "z[1]", "a|b", "my_int8"])
def test_names_that_would_clash_are_refused(
    bundled: tuple[Path, list[Path], Result], in_trained: Command, tmp_path: Path, name: str
):
    shutil.copy(bundled[1][0], tmp_path / f"{name}.json")
    what = f"{tmp_path / name}.json,{bundled[1][1]}"
    found = in_trained("export", "--bundle", what, "-o", tmp_path / "net")
    assert found.code == 2
    assert "copy it under another name" in found.stderr
    assert not (tmp_path / "net").exists()


@pytest.mark.slow
def test_a_search_of_the_same_name_elsewhere_does_not_matter(
    in_fronted: Command, fronted: Path, tmp_path: Path
):
    own = next((fronted / "runs").glob("*/search/this_machine"))
    shutil.copytree(own, fronted / "searches" / "this_machine")
    found = in_fronted("export", "--bundle", "front", "-o", tmp_path / "net")
    shutil.rmtree(fronted / "searches")
    assert found.code == 0, found.stderr


def test_a_folder_of_something_else_is_kept(in_fronted: Command, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    found = in_fronted("export", "--bundle", "front", "-o", tmp_path)
    assert found.code == 2
    assert "holds other things" in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
