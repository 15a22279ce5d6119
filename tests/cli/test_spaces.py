"""`supernet spaces` lists the spaces, `supernet spaces show` says all of one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supernet.space import (
    Space,
    SubnetFile,
    list_spaces,
    load_space,
    save_space,
    space_ranges,
)
from supernet.space.published_cells import published_subnet

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def lines(stdout: str) -> list[str]:
    """What was printed, with single spaces."""
    return [" ".join(line.split()) for line in stdout.splitlines()]


def test_every_shipped_space_is_listed_with_its_ranges(supernet: Command):
    listed = supernet("spaces", "--json")
    assert [space["name"] for space in listed.json["spaces"]] == list_spaces()
    for space in listed.json["spaces"][::6]:
        ranges = space_ranges(load_space(space["name"]))
        assert (space["subnets"], *space["macs"]) == (ranges.subnets, *ranges.macs)
        assert tuple(space["params"]) == ranges.params
    resnet = "resnet50 128, 132 .. 224 4.1e+13 315.1 to 7491.6 6.54 to 48.11"
    assert resnet in lines(supernet("spaces").stdout)


@pytest.mark.parametrize(
    "arguments",
    [["spaces"], ["spaces", "show", "demo"], ["recipes"], ["recipes", "show", "demo"], ["doctor"]],
)
def test_json_of_what_lists_or_shows_is_all_of_stdout(supernet: Command, arguments: list[str]):
    assert isinstance(json.loads(supernet(*arguments, "--json").stdout), dict)


def test_numbers_and_kinds_of_a_space_are_shown(supernet: Command):
    shown = supernet("spaces", "show", "alphanet")
    assert shown.code == 0, shown.stderr
    assert {
        "stem 16, 24 3 2",
        "stage 3 32, 40 3 .. 6 3, 5 4, 5, 6 2 0.25",
        "head 6 x 216, 224 1",
        "head features 1792, 1984",
        "everywhere: block mbconv; act swish; shortcut project; shared yes",
        "4.4e+11 subnets at 192, 224, 256, 288 px",
        "203.39 to 1939.34 M multiply-adds",
        "kernel_transform crop, dropout 0.2, bn_momentum 0.1, bn_eps 1e-05",
    } <= set(lines(shown.stdout))


def test_a_space_that_is_elastic_in_everything_is_shown_whole(
    supernet: Command, tmp_path: Path, mixed_space: Space, monkeypatch: pytest.MonkeyPatch
):
    save_space(mixed_space, tmp_path / "mixed.yaml")
    shown = supernet("spaces", "show", tmp_path / "mixed.yaml")
    kinds = "conv, dsconv, mbconv relu 0, 0.25 of in none, identity, pool yes"
    assert {
        "stem residual 0, 1 3 relu",
        "stem out 8, 16 3 relu",
        "stem maxpool 3 2",
        f"stage 1 8, 16 1, 2 3, 5 2, 3 1 {kinds}",
        "stage 4 32 1, 2 3, 5 0.5, 1 1 bottleneck, bottleneck_se relu 0, 0.25 none, project 8",
        "stage 6 24, 32 1, 2 0, 3 0, 3, 5 1, 2 2 uib hard_swish identity",
        "head 1.5 x 24, 32 1 hard_swish",
    } <= set(lines(shown.stdout))
    monkeypatch.setenv("COLUMNS", "80")  # two tables, so that numbers are not folded
    narrow = supernet("spaces", "show", tmp_path / "mixed.yaml")
    assert "stage 1 8, 16 1, 2 3, 5 2, 3 1" in lines(narrow.stdout)


@pytest.mark.parametrize(
    "arguments", [["spaces", "show", "demo", "--json"], ["spaces", "--json", "show", "demo"]]
)
def test_the_document_holds_the_whole_space(supernet: Command, arguments: list[str]):
    document = supernet(*arguments).json
    space = load_space("demo")
    assert document["hash"] == space.hash
    assert document["resolutions"] == [32]
    assert document["stages"][2]["expand"] == [2, 3, 4]
    assert document["macs"] == list(space_ranges(space).macs)


def test_a_name_in_place_of_a_command_is_an_error_that_says_the_command(supernet: Command):
    wrong = supernet("spaces", "my.yaml", "--json")
    assert wrong.code == 2
    assert "to show a space: supernet spaces show my.yaml" in wrong.json["error"]["message"]


def test_spaces_are_shown_without_torch(tmp_path: Path):
    code = (
        "import sys\nfrom supernet.cli.main import main\n"
        "try: main(['spaces', 'show', 'demo'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


def test_published_cells_become_a_file_that_others_take(supernet: Command, tmp_path: Path) -> None:
    space, place = load_space("nasnet_mobile"), tmp_path / "nasnet_a.json"
    # arXiv:1707.07012, table 2: 5.3 M and 564 M
    found = {"nasnet_a": [563_638_816, 5_289_978]}
    assert supernet("spaces", "show", "nasnet_mobile", "--json").json["published"] == found
    assert "published" not in supernet("spaces", "show", "demo", "--json").json
    shown = supernet("spaces", "show", "nasnet_mobile").stdout
    asked = "spaces", "subnet", "nasnet_a", "--space", "nasnet_mobile"
    figures = "nasnet_a, 563.64 M multiply-adds and 5.290 M parameters"
    assert f"{figures} (supernet {' '.join(asked)})" in shown
    done = supernet(*asked, "-o", place, "--json")
    assert (done.json["macs"], done.json["params"]) == tuple(found["nasnet_a"])
    file = SubnetFile.load(place)
    assert file.subnet == published_subnet(space, "nasnet_a")
    predicted = supernet("latency", "predict", place, "--target", "mobile_cpu", "--json")
    assert predicted.code == 0, predicted.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nasnet_a", "--space", "darts_cifar"], "the space has normal of 4 nodes"),
        (["nasnet_a", "--space", "demo"], "space 'demo' has no cells, so 'nasnet_a' is no subnet"),
        (["nasnet", "--space", "nasnet_cifar"], "did you mean 'nasnet_a'?"),
        (["nasnet_a"], "give --space NAME or --run FOLDER"),
    ],
)
def test_cells_that_a_space_has_not_are_told(
    supernet: Command, tmp_path: Path, arguments: list[str], why: str
) -> None:
    place = tmp_path / "subnet.json"
    wrong = supernet("spaces", "subnet", *arguments, "-o", place)
    assert (wrong.code, place.exists()) == (2, False)
    assert why in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_a_network_becomes_a_space_that_others_read(supernet: Command, tmp_path: Path):
    place = tmp_path / "space.yaml"
    done = supernet("spaces", "from", "torchvision:mobilenet_v3_small", "-o", place)
    assert "the largest with the network's weights gives its outputs" in done.stdout
    assert load_space(place).resolutions[-1] == 224  # torchvision's own
    assert "made from one network" in supernet("spaces", "show", place).stdout


@pytest.mark.parametrize("name", ["space.json", "space.txt", "space", "space.YAML"])
def test_a_name_by_which_no_command_reads_a_space_is_refused_first(
    supernet: Command, tmp_path: Path, name: str
):
    place = tmp_path / name
    failed = supernet("spaces", "from", "no source", "-o", place)  # which is not looked at yet
    assert (failed.code, place.exists()) == (2, False)
    assert f"{name} must end in .yaml or .yml" in failed.stderr
    assert f"give {tmp_path / 'space.yaml'}" in failed.stderr


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("torchvision:vgg11", "features.0 is a convolution without batch norm"),
        ("torchvision:resnet81", "resnet"),
        ("mobilenet", "expected torchvision:NAME, timm:NAME or FILE.py:FUNCTION"),
        ("none.py:build", "no such file"),
    ],
)
def test_a_network_that_no_space_holds_leaves_no_file(
    supernet: Command, tmp_path: Path, source: str, why: str
):
    place = tmp_path / "space.yaml"
    failed = supernet("spaces", "from", source, "-o", place)
    assert failed.code == 2
    assert failed.stderr.count("\n") <= 2
    assert why in failed.stderr
    assert not place.exists()


def test_the_largest_network_that_is_fast_enough_is_trained_alone_and_shipped(
    supernet: Command, tmp_path: Path
) -> None:
    limit = ("--target", "mobile_cpu", "--max-latency-ms", 0.1)
    found = supernet("spaces", "largest", "tiny.yaml", *limit, "-o", "one.yaml", "--json")
    assert found.code == 0, found.stderr
    assert found.json["latencies"]["mobile_cpu"]["latency_ms"] <= 0.1
    assert "next: supernet train --data FOLDER --space one.yaml" in found.stdout
    only = load_space(tmp_path / "one.yaml")
    assert space_ranges(only).subnets == 1
    assert space_ranges(only).macs == (found.json["macs"],) * 2
    trained = supernet("train", "--space", "one.yaml", "--epochs", 0.1, "--run", "one", "--json")
    assert trained.code == 0, trained.stderr
    assert [phase["phase"] for phase in trained.json["phases"]] == ["standalone"]
    assert trained.stdout.splitlines()[1].split() == ["after", "phase", "top-1"]
    found = supernet("search", "--run", "one", "--objective", "macs", "--json")
    assert found.code == 0, found.stderr
    assert found.json["scored"] == 1
    assert found.json["measured"]["top1"] == trained.json["phases"][0]["top1_largest"]
    written = supernet("export", found.json["files"]["subnet"], "--onnx", "-o", "net")
    assert written.code == 0, written.stderr
    assert (tmp_path / "net" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny.yaml",), "Missing option '--max-latency-ms'"),
        (("tiny.yaml", "--max-latency-ms", 1e-6, "--target", "mobile_cpu"), "the least is"),
        (("tiny.yaml", "--max-latency-ms", "phone=1", "--target", "mobile_cpu"), "phone"),
        (("none.yaml", "--max-latency-ms", 1), "none.yaml"),
        (("tiny.yaml", "--max-latency-ms", 1, "--fix", "kernel=9"), "is no choice"),
    ],
)
def test_what_has_no_largest_network_is_refused_and_nothing_written(
    supernet: Command, tmp_path: Path, arguments: tuple[Any, ...], words: str
) -> None:
    found = supernet("spaces", "largest", *arguments, "-o", "one.yaml")
    assert found.code in (2, 4)
    assert words in found.stderr
    assert not (tmp_path / "one.yaml").exists()
