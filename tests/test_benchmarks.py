"""Benchmarks write results of one form; what they measure is not run here."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"

if not FOLDER.is_dir():
    pytest.skip("only in the repository", allow_module_level=True)

Document = dict[str, Any]
HEADING = ("command", "date", "hardware", "cores", "python", "numpy")


@pytest.fixture
def load(
    load_benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], ModuleType]:
    """Opens a benchmark as a module; its results go to `tmp_path`."""

    def opened(name: str) -> ModuleType:
        module = load_benchmark(name)
        monkeypatch.setattr(importlib.import_module("records"), "RESULTS", tmp_path)
        monkeypatch.setattr(sys, "argv", [str(FOLDER / f"{name}.py")])
        return module

    return opened


def stand_in(module: ModuleType, patch: pytest.MonkeyPatch, known: Document) -> None:
    """What was measured once, in place of measuring it."""
    match module.__name__:
        case "demo":
            patch.setattr(module, "run", lambda seed: known["runs"]["0"])
        case "latency":
            found = {key: value for key, value in known.items() if key not in HEADING}
            patch.setattr(module, "run", lambda options: found)
        case "latency_models":
            patch.setattr(module, "PARTS", {k: lambda v=v: v for k, v in known["parts"].items()})
            patch.setattr(module, "NEED_FILES", ())
        case "populations":
            patch.setattr(module, "measure", known["subnets_per_cpu_second"].__getitem__)
            patch.setattr(module, "list_spaces", lambda: ["demo"])
        case "tune":
            own = {k: v for k, v in known.items() if k not in (*HEADING, "versions", "quiet")}
            patch.setattr(module, "tune", lambda *arguments: ({}, {}))
            patch.setattr(module, "figures", lambda *arguments: own)
        case "whole_networks":
            space, data = SimpleNamespace(name="demo"), SimpleNamespace(left_out=0)
            patch.setattr(module, "columns", lambda: [("column", space, data)])
            patch.setattr(module, "drawn", lambda *arguments: {"mape": 1.0})
        case "ofa_referee":
            patch.setattr(module, "measure", lambda name, *rest: known["spaces"][name])
            patch.setattr(module.torch, "set_num_threads", lambda count: None)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("demo", "demo_2cpu"),
        ("latency", "latency_quiet_2cpu"),
        ("latency_models", "latency_models_1cpu"),
        ("populations", "populations_1cpu"),
        ("ofa_referee", "ofa_referee_1cpu"),
        ("tune", "tune_2cpu"),
        ("whole_networks", "whole_networks_1cpu"),
    ],
)
def test_a_result_has_all_keys_of_the_committed_one(
    name: str,
    result: str,
    load: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if name == "ofa_referee":
        pytest.importorskip("ofa")
    known = json.loads(next((FOLDER / "results").glob(f"{result}_2*.json")).read_text())
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    module = load(name)
    stand_in(module, monkeypatch, known)
    module.main()
    (path,) = tmp_path.iterdir()
    written = json.loads(path.read_text())
    assert path.name == f"{result}_{written['date']}.json"
    assert next(iter(written)) == "command"
    assert set(written) == set(known)
    assert set(known["hardware"]) <= set(written["hardware"])
    assert set(known.get("versions", ())) == set(written.get("versions", ()))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_each_can_be_loaded(name: str, load: Callable[[str], ModuleType]) -> None:
    try:
        load(name)
    except ModuleNotFoundError as error:
        if error.name != "ofa":  # the referee
            raise
        pytest.skip("the package ofa is not installed")


def test_the_command_tells_threads_but_no_folders(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = load("records")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(sys, "argv", ["/a/speed.py", "--data", "/home/someone/images"])
    path = records.write_result("speed", "1cpu", ("numpy",), {"seconds": 1.5})
    document = json.loads(path.read_text())
    assert document["command"] == "OMP_NUM_THREADS=1 python benchmarks/speed.py --data images"
    assert document["hardware"]["cores"] == os.cpu_count()
    assert list(document["versions"]) == ["numpy"]
    assert document["seconds"] == 1.5


def test_one_thread_is_asked_for(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with pytest.raises(SystemExit, match="OPENBLAS_NUM_THREADS=1: one core is measured"):
        load("records").require_one_thread()


def test_the_package_of_the_referee_is_asked_for_in_one_line(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("modelopt_pair")
    monkeypatch.setattr(sys, "argv", ["modelopt_pair.py", "--data", "photos"])
    monkeypatch.setattr(importlib.import_module("modelopt_side"), "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert str(caught.value) == (
        "this needs NVIDIA's Model Optimizer: pip install nvidia-modelopt torchprofile==0.0.4"
    )


def test_rows_beside_the_referee_are_made_once_for_each_setting(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module, made = load("modelopt_pair"), []

    def measured(case: Any, options: Any) -> Document:
        made.append((case.name, case.seed, case.size))
        settings = module.settings_of(options)
        return {"network": case.name, "seed": case.seed, "settings": settings}

    monkeypatch.setattr(module, "measured", measured)
    monkeypatch.setattr(module, "PACKAGES", ("torch",))
    monkeypatch.setattr(importlib.import_module("modelopt_side"), "require", lambda: None)
    for more in (["0"], ["0", "1"], ["1", "--size", "96"]):
        words = ["modelopt_pair.py", "--data", "/a/photos", "--networks", "mobilenet_v2"]
        monkeypatch.setattr(sys, "argv", [*words, "--seeds", *more])
        module.main()
    assert made == [("mobilenet_v2", seed, size) for seed, size in ((0, 64), (1, 64), (1, 96))]
    (path,) = tmp_path.iterdir()
    assert [row["seed"] for row in json.loads(path.read_text())["rows"]] == [0, 1, 1]


def test_our_largest_subnet_is_the_network_that_the_referee_gets(
    load: Callable[[str], ModuleType],
) -> None:
    pytest.importorskip("torchvision")
    from supernet.space import largest, params_of

    module = load("modelopt_training")
    case = module.Case(name="mobilenet_v2", data="", size=64, batch_size=64, seed=3)
    vars(case)["dataset"] = SimpleNamespace(classes=tuple("abcdefghij"))
    theirs = case.their_network()
    assert params_of(case.space, largest(case.space)) == sum(p.numel() for p in theirs.parameters())
    # mobilenet_v2 at 224 px has 300.8 million multiply-adds without its classifier, all but the
    # classifier in proportion to the area (arXiv:1801.04381, table 4: 300M)
    assert case.largest_macs == pytest.approx(300.8e6 * (64 / 224) ** 2, rel=0.005)
    assert {stage.kernel for stage in case.space.stages} == {(3,)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("decoding", ("--photos", "none")),
        ("large_data", ("--data", "none", "--cache", "cache")),
        ("large_folder", ("--photos", "none", "--to", "made")),
        ("measured", ("--run", "none")),
        ("outcome", ("--data", "none", "--seeds", "0")),
        ("plain_speed", ("--data", "none")),
        ("plan_time", ("--photos", "none")),
        ("pretrained_photos", ("--data", "none")),
        ("pretrained_start", ("--data", "none")),
        ("ranking", ("--data", "none")),
        ("segmentation", ("--data", "none", "--run", "run", "--subnet", "subnet.json")),
        ("shrinking", ("--data", "none", "--epochs", "0.1")),
        ("two_spaces", ("--data", "none")),
    ],
)
def test_images_that_are_not_there_are_one_line(
    name: str,
    words: tuple[str, ...],
    load: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pytest.importorskip("torchvision")
    module = load(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(threads, "1")
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("records").run_told(module.main)
    assert str(ended.value).count("none") == 1
    assert "no such" in str(ended.value)
    assert "\n" not in str(ended.value)
