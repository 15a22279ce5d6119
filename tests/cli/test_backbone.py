"""Backbones of subnets, exported and searched for."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from supernet.models import backbone_of, extract
from supernet.report.result_view import result_view
from supernet.runs import Run
from supernet.search import load_result
from supernet.space import (
    SubnetFile,
    body_operators,
    operators,
    resized,
    total_macs,
    total_params,
)

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def backbone(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a backbone of the found subnet, and what the command answered."""
    from tests.cli.conftest import run_command

    folder = tmp_path_factory.mktemp("backbone") / "net"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        patch.setenv("SUPERNET_HOME", str(trained / "home"))
        shape = ("--features", "2,4", "--any-size")
        found = run_command("export", "--onnx", *shape, "-o", folder, "--json")
    assert found.code == 0, found.stderr
    return folder, found


def test_maps_have_names_and_any_size(backbone: Any, trained: Path) -> None:
    folder, found = backbone
    session = onnxruntime.InferenceSession(folder / "backbone.onnx")
    assert [out.name for out in session.get_outputs()] == ["stride2", "stride4"]
    run = Run(next((trained / "runs").iterdir()))
    subnet = SubnetFile.load(next(run.searches.glob("*/subnet.json")))
    network = run.evaluator().network(subnet.subnet)
    body = body_operators(subnet.subnet, subnet.operators, (2, 4))
    plain = backbone_of(network, subnet.subnet, subnet.operators, (2, 4)).eval()
    for size in ((16, 16), (20, 16), (64, 32)):
        image = torch.randn(1, 1, *size)
        with torch.inference_mode():
            ours = plain(image)
        ran = session.run(None, {"images": image.numpy()})
        for own, other in zip(ours, ran, strict=True):
            assert own.shape == other.shape
            assert float((own - torch.from_numpy(other)).abs().max() / own.abs().max()) < 1e-4
    assert found.json["macs"] == total_macs(body)


def test_the_folder_says_what_it_is(backbone: Any) -> None:
    folder, found = backbone
    told = json.loads((folder / "backbone.json").read_text())
    assert told["format"] == "supernet.backbone"
    assert [m["name"] for m in told["features"]] == ["stride2", "stride4"]
    assert [(m["height"], m["width"]) for m in told["features"]] == [(8, 8), (4, 4)]
    facts = {
        item.key: json.loads(item.value)
        for item in onnx.load(folder / "backbone.onnx").metadata_props
    }
    assert facts["output"] == "features"
    assert facts["size"] == [16, 16]
    assert facts["features"] == told["features"]
    latency = found.json["latency"]
    assert latency["target"] == "this_machine"
    assert latency["predicted_ms"] > 0
    assert latency["measured_ms"] == found.json["files"]["backbone.onnx"]["latency_ms"]
    assert latency["measured"] == len(told["operators"])
    assert latency["off"] == pytest.approx(
        100 * (latency["measured_ms"] / latency["predicted_ms"] - 1)
    )
    card = (folder / "README.md").read_text()
    assert f"{latency['predicted_ms']:.3f} ms" in card
    assert "| `stride4` | 4 |" in card
    done = subprocess.run(
        [sys.executable, "-E", "-s", "predict.py", "--check"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": ok") == 2


def test_formats_of_one_backbone_lie_together(
    backbone: Any, in_trained: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    shutil.copytree(backbone[0], folder)
    first = json.loads((folder / "backbone.json").read_text())
    asked = ("export", "--torch-export", "--any-size", "-o", folder, "--features")
    found = in_trained(*asked, "2,4")
    assert found.code == 0, found.stderr
    told = json.loads((folder / "backbone.json").read_text())
    assert {*told["files"]} == {"backbone.onnx", "backbone.pt2"}
    assert told["files"]["backbone.onnx"] == first["files"]["backbone.onnx"]
    assert "backbone.onnx" in (folder / "README.md").read_text()
    other = in_trained(*asked, "4")  # other maps: another backbone
    assert other.code == 0, other.stderr
    assert {*json.loads((folder / "backbone.json").read_text())["files"]} == {"backbone.pt2"}
    assert not (folder / "backbone.onnx").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--features", "4,64"], "no map of stride 64; its strides are 2, 4"),
        (["--features", "4", "--int8"], "int8: is not for backbones"),
        (["--features", "4", "--probabilities"], "probabilities: a backbone gives maps"),
        (["--features", "4", "--ncnn"], "not written as ncnn"),
        (["--features", "4", "--size", "2x8"], "size: rows and columns must be from 4"),
        (["--features", "4", "--size", "18x16", "--any-size"], "in multiples of 4"),
        (["--size", "32"], "size: is for backbones"),
        (["--any-size"], "any-size: is for backbones"),
        (["--features", "4", "--size", "wide"], "'wide' is no size such as 384x512"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    in_trained: Command, options: list[str], why: str, tmp_path: Path
) -> None:
    found = in_trained("export", "--onnx", *options, "-o", tmp_path / "net")
    assert found.code != 0
    assert why in found.stderr
    assert not (tmp_path / "net").exists()


def test_other_exports_stay_apart(backbone: Any, exported: Any, in_trained: Command) -> None:
    """Neither overwrites the other, and a backbone has no accuracy."""
    folder, _ = backbone
    found = in_trained("export", "--onnx", "-o", folder)
    assert "holds other things than an export" in found.stderr
    found = in_trained("export", "--onnx", "--features", "4", "-o", exported[0])
    assert "holds other things than an export" in found.stderr
    found = in_trained("eval", folder / "backbone.onnx")
    assert "maps of features, which have no accuracy" in found.stderr
    found = in_trained("export", "--bundle", "front", "--features", "4")
    assert "bundle: holds whole networks" in found.stderr


def test_a_search_counts_what_a_backbone_runs(in_trained: Command, trained: Path) -> None:
    found = in_trained(
        "search", "--features", "2", "--target", "this_machine", "--objective", "macs",
        "--budget", "300", "--name", "body", "--confirm", "1", "--json",
    )  # fmt: skip
    assert found.code == 0, found.stderr
    assert "maps at 2" in found.stdout
    assert "--features 2" in found.stdout
    file = SubnetFile.load(Path(found.json["files"]["subnet"]))
    body = body_operators(file.subnet, file.operators, (2,))
    assert file.predicted["macs"] == total_macs(body) < total_macs(file.operators)
    assert file.predicted["features"] == [2]
    assert file.predicted["features_latency_ms"] < file.predicted["latency_ms"]
    assert file.measured["features_latency_ms"] > 0
    limit = found.json["limits"]["latency@this_machine"]
    assert file.predicted["features_latency_ms"] <= limit
    saved = load_result(Path(found.json["files"]["subnet"]).parent)
    prices = {target.name: target.operators_ms for target in saved.targets}
    view = result_view(saved.result, "body", chosen=saved.chosen, prices=prices)
    assert view.chosen is not None
    rows = view.front[view.chosen].operators
    assert [row.operator for row in rows] == [*body]
    latency = saved.result.figures(saved.chosen)["latency@this_machine"]
    assert sum(row.costs[0] for row in rows) == pytest.approx(latency, rel=0.02)
    names, first = (saved.folder / "front.csv").read_text().splitlines()[:2]
    params = dict(zip(names.split(","), first.split(",")))["params"]
    space, subnet = saved.result.problem.space, saved.result.subnet(saved.result.front[0])
    assert int(params) == total_params(body_operators(subnet, operators(space, subnet), (2,)))
    picked = in_trained("results", "show", "body", "--pick", "1", "-o", trained / "picked.json")
    assert picked.code == 0, picked.stderr
    told = SubnetFile.load(trained / "picked.json").predicted
    assert "latency_ms" not in told
    assert np.isfinite(told["features_latency_ms"])
    unknown = in_trained("search", "--features", "8", "--budget", "300")
    assert "no map of stride 8; its strides are 2, 4" in unknown.stderr


def test_a_search_counts_at_the_size_of_images(in_trained: Command) -> None:
    asked = ("search", "--features", "2", "--size", "12x16", "--objective", "macs", "--budget")
    unmeasured = in_trained(*asked, "300", "--target", "this_machine")
    assert "of backbones with maps at 2 at 12x16 of space 'tiny'" in unmeasured.stderr
    assert "latency measure --space FILE.yaml --resolutions 12,16 --name NAME" in unmeasured.stderr
    larger = in_trained(*asked, "300", "--name", "larger", "--json")
    assert larger.code == 0, larger.stderr
    assert "maps at 2 at 12x16" in larger.stdout
    assert "--features 2 --size 12x16" in larger.stdout
    file = SubnetFile.load(Path(larger.json["files"]["subnet"]))
    body = resized(body_operators(file.subnet, file.operators, (2,)), 12, 16)
    assert file.predicted["macs"] == total_macs(body)
    assert file.predicted["features_size"] == [12, 16]
    alone = in_trained("search", "--size", "12x16", "--budget", "300")
    assert "size: is for backbones" in alone.stderr


def test_python_gives_the_same_maps(trained: Path) -> None:
    run = Run(next((trained / "runs").iterdir()))
    supernet = run.supernet()
    file = SubnetFile.load(next(run.searches.glob("*/subnet.json")))
    found = extract(supernet, file.subnet, features=(4,))
    assert found.feature_info.reduction() == [4]
    assert found.names == ("stride4",)
