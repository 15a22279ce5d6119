"""`supernet results` and `supernet report`: what was searched for is found, shown, drawn."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.latency import load_target
from supernet.predict import Validation
from supernet.report import NetworkRow
from supernet.runs import Run, RunConfig
from supernet.search import (
    Accuracy,
    Budget,
    PredictorRecord,
    Problem,
    latency,
    macs,
    new_result_folder,
    run_search,
    save_result,
)
from supernet.space import Domain, Genes, SubnetFile, load_space
from supernet.workflow.comparison import (
    Comparison,
    RandomSubnet,
    read_comparison,
    write_comparison,
)
from supernet.workflow.export import find_subnet
from supernet.workflow.quality_file import QualityFile, SubnetQuality, write_quality

Command = Callable[..., Any]

pytestmark = pytest.mark.cli

SPACE = load_space("mobilenet_v3")
TABLES = {name: load_target(name) for name in ("mobile_cpu", "x86_server_cpu")}
MACS = macs(SPACE)


def _top1(genes: Genes) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(60 + 20 * (1 - np.exp(-MACS(genes) / 3e8)) + 0.01 * genes.sum(axis=1))


def _found(*targets: str, **limits: float) -> Any:
    latencies = [latency(name, TABLES[name].predictor(SPACE)) for name in targets]
    problem = Problem(
        domain=Domain.of(SPACE),
        objectives=(Accuracy(function=_top1), *latencies),
        others=(MACS,),
        limits={f"latency@{name}": limit for name, limit in limits.items()},
    )
    return run_search(problem, budget=Budget(scored=800))


@cache
def one() -> Any:
    """The result of a search for a phone."""
    return _found("mobile_cpu", mobile_cpu=40.0)


@cache
def two() -> Any:
    """The result of a search for two devices."""
    return _found("mobile_cpu", "x86_server_cpu", x86_server_cpu=6.0)


MEASURED = np.linspace(70, 75, 12)
PREDICTOR = PredictorRecord.of("ridge", Validation(measured=MEASURED, predicted=MEASURED[::-1]))


def _save(parent: Path, name: str, result: Any, *targets: str) -> Path:
    folder = new_result_folder(parent, name)
    save_result(
        result,
        folder,
        request={"targets": list(targets), "seed": 0},
        predictor=PREDICTOR,
        tables={target: TABLES[target] for target in targets},
    )
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two results; to be read only."""
    folder = tmp_path_factory.mktemp("saved")
    _save(folder, "phone", one(), "mobile_cpu")
    _save(folder, "both", two(), "mobile_cpu", "x86_server_cpu")
    return folder


@pytest.fixture
def searches(supernet: Command, tmp_path: Path, saved: Path) -> Path:
    """Two results below ``searches/`` of the working directory."""
    return shutil.copytree(saved, tmp_path / "searches", copy_function=shutil.copy2)


@pytest.fixture
def run(supernet: Command, tmp_path: Path) -> Run:
    """A run that was trained, measured and searched, as far as files tell."""
    config = RunConfig(
        data="cifar10", classes=tuple("abcdefghij"), in_channels=3, mean=(0.5,), std=(0.5,),
        recipe={}, created="2026-01-02", versions={"torch": "2"},
    )  # fmt: skip
    made = Run.create(tmp_path / "runs" / "one", SPACE, config)
    lines = [{"epoch": e, "loss": 2 - e / 10, "top1_largest": 50 + e} for e in range(1, 4)]
    (made.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    weights = made.checkpoints / "step-1" / "supernet.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    space = made.space()
    found = replace(one(), problem=replace(one().problem, space=space))
    _save(made.searches, "phone", found, "mobile_cpu")
    return made


@pytest.mark.parametrize(
    ("content", "epochs"),
    [
        (None, 0),  # killed in its first epoch
        ('{"epoch": 1, "loss": 2}\n{"epoch": 2, "loss": 1.5}\n{"epoch": 3, "lo', 2),
        ('{"epoch": 1, "loss": 2}\r\n{"epoch": 2, "loss": null}\r\n', 1),
        ('{"epoch": 1, "loss": 2}\n{"epoch": 2, "loss": NaN}\n', 1),
    ],
)
def test_a_training_that_was_killed_or_went_astray_has_a_page(
    supernet: Command, run: Run, content: str | None, epochs: int
) -> None:
    (run.folder / "metrics.jsonl").unlink()
    if content is not None:
        (run.folder / "metrics.jsonl").write_text(content)
    made = supernet("report", "--run", run.folder)
    assert made.code == 0, made.stderr
    page = (run.folder / "report.html").read_text()
    assert set(re.findall(r"n = (\d) epochs", page)) == ({str(epochs)} if epochs else set())
    assert ("Supernet training" in page) == (epochs > 0)


@pytest.mark.parametrize("line", ["", "5", "{}", '{"epoch": "x"}', '{"epoch": 1,'])
def test_a_damaged_line_of_a_training_is_named(supernet: Command, run: Run, line: str) -> None:
    for path in (run.folder / "metrics.jsonl", run.architecture):
        path.write_text(f'{line}\n{{"epoch": 2, "loss": 1.5}}\n')
        refused = supernet("report", "--run", run.folder)
        assert refused.code == 2
        assert f"{path}, line 1: not the record of an epoch" in refused.stderr
        path.unlink()


def test_results_are_listed_the_newest_first(supernet: Command, searches: Path) -> None:
    listed = supernet("results", "--json").json["results"]
    assert [one["name"] for one in listed] == ["both", "phone"]
    assert listed[0]["targets"] == ["mobile_cpu", "x86_server_cpu"]
    assert listed[1]["limits"] == {"latency@mobile_cpu": 40.0}
    assert listed[1]["scored"] == 800
    assert listed[1]["chosen"]["top1"] == one().columns["top1"][one().best()]
    text = supernet("results").stdout
    assert re.search(r"both.*\n(.*\n)*.*phone", text)


def test_nothing_searched_says_so(supernet: Command) -> None:
    found = supernet("results")
    assert found.code == 0
    assert found.stdout.startswith(
        "no results in runs or searches; make one with `supernet search`"
    )


def test_a_damaged_result_is_named_and_the_others_listed(supernet: Command, searches: Path) -> None:
    (searches / "both" / "scored.npz").write_bytes(b"")
    found = supernet("results", "--json")
    assert [one["name"] for one in found.json["results"]] == ["phone"]
    assert "SHA-256" in found.json["damaged"][0]["error"]


def test_a_result_is_shown_with_its_choice(supernet: Command, searches: Path) -> None:
    text = supernet("results", "show", "phone").stdout
    assert "phone: no. " in text
    assert "the chosen one" in text
    assert str(one().subnet()) in " ".join(text.split())
    assert "RMSE" in text
    assert "<= 40 ms" in text


@pytest.mark.parametrize("pick", ["2", "latency<=20", "best", "macs<=200e6, latency<=30"])
def test_any_point_of_a_front_becomes_a_file(pick: str, supernet: Command, searches: Path) -> None:
    found = supernet("results", "show", "phone", "--pick", pick, "-o", "picked.json", "--json")
    file = SubnetFile.load(Path("picked.json"))
    index = one().pick(pick)
    assert file.subnet == one().subnet(index)
    assert found.json["picked"]["key"] == file.subnet.key
    assert file.predicted["target"] == "mobile_cpu"
    assert file.predicted["latency_ms"] == one().columns["latency@mobile_cpu"][index]
    assert file.predicted["top1"] == one().columns["top1"][index]
    assert file.checkpoint is None


def test_a_point_of_a_run_knows_its_weights(supernet: Command, run: Run) -> None:
    assert supernet("results", "show", "phone", "-o", "picked.json").code == 0
    checkpoint = SubnetFile.load(Path("picked.json")).checkpoint
    assert checkpoint is not None
    assert (Path() / checkpoint["path"]).resolve() == run.weights().resolve()
    shutil.copytree(run.folder, "runs/newer")
    assert find_subnet(Path("picked.json"), None)[1].folder.resolve() == run.folder.resolve()


def test_the_front_is_listed_with_all_figures(supernet: Command, searches: Path) -> None:
    points = supernet("results", "show", "both", "--front", "--json").json["points"]
    assert [point["number"] for point in points] == [*range(1, len(two().front) + 1)]
    assert {"top1", "latency@mobile_cpu", "latency@x86_server_cpu", "macs"} <= {*points[0]}
    assert f"{len(two().front)}" in supernet("results", "show", "both", "--front").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("show", "phon"),
            "no result 'phon' in searches; did you mean 'phone'?",
        ),
        (("show", "phone", "--pick", "latency<=0.1"), "no scored subnet within the limits has"),
        (("show", "both", "--pick", "latency<=12"), "'latency' names 2 figures"),
        (("phone",), "supernet results show phone"),
        (("--run", "nowhere"), "not a run"),
        (("--results", "nowhere"), "no such folder"),
        (("--results", "searches", "--run", "runs"), "give one of a run and a folder"),
        (("show", "phone", "--pick", "1", "--pick", "2"), "may be given once"),
    ],
)
def test_a_wrong_question_is_answered(
    arguments: tuple[str, ...], message: str, supernet: Command, searches: Path
) -> None:
    found = supernet("results", *arguments)
    assert found.code == 2
    assert message in found.stderr


def test_one_name_in_two_places_asks_which(supernet: Command, searches: Path, run: Run) -> None:
    assert "say which by --run or --results" in supernet("results", "show", "phone").stderr
    assert supernet("results", "show", "phone", "--results", "searches").code == 0
    assert supernet("results", "show", "searches/phone").code == 0
    assert supernet("results", "show", "both").code == 0


def test_the_page_of_searches_has_a_tab_each(supernet: Command, searches: Path) -> None:
    found = supernet("report", "--json")
    page = Path(found.json["files"]["report"]).read_text()
    assert re.findall(r'data-name="(\w+)"', page) == ["both", "phone"]
    assert "supernet results show phone --results searches --pick " in page
    assert "supernet export" not in page
    assert len(page.encode()) < 400_000


def test_a_page_has_as_many_of_the_newest_searches_as_fit(
    supernet: Command, searches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        shutil.copytree(searches / "both", searches / f"again{number}")
    for most_bytes in (400_000, 100_000):
        monkeypatch.setattr("supernet.workflow.report.MAX_BYTES", most_bytes)
        monkeypatch.setattr("supernet.report.document.MAX_BYTES", most_bytes)
        page = Path(supernet("report", "--json").json["files"]["report"]).read_text()
        shown = page.count("data-name=")
        assert 1 <= shown <= most_bytes // 50_000
        assert len(page.encode()) <= most_bytes or shown == 1
        assert f"{11 - shown}; see `supernet results`" in page
        assert f"{shown} search" in page


def test_the_page_of_a_run_is_made_of_what_lies_there(supernet: Command, run: Run) -> None:
    comparison = Comparison(
        search="phone",
        target="mobile_cpu",
        networks=(
            NetworkRow(name="largest", top1=90, latency_ms=50, macs=10**9, params=10**7),
            NetworkRow(name="found", top1=89, latency_ms=39, macs=10**8, params=10**6),
        ),
        random=(RandomSubnet(latency_ms=38, top1=85, subnet="a random one"),),
        figures={"Size of the ONNX file": "2 MB"},
    )
    write_comparison(run.folder, comparison)
    assert read_comparison(run.folder) == comparison
    rows = tuple(
        SubnetQuality(
            name=name, subnet="x", resolution=128, macs=size, params=1, top1=70.0, loss=1.0
        )
        for size, name in ((10**8, "smallest"), (10**9, "largest"))
    )
    quality = QualityFile(
        space=SPACE.name, space_hash=SPACE.hash, weights="", split="test", images=10,
        calibration_images=10, seed=0, standalone_epochs=None, kendall_macs=1.0,
        kendall_standalone=None, mean_gap=None, subnets=rows,
    )  # fmt: skip
    write_quality(run.folder, quality)
    found = supernet("report", "--run", run.folder)
    assert found.code == 0, found.stderr
    page = (run.folder / "report.html").read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Networks", "Search phone", "Supernet quality", "Supernet training", "Further figures",
        "How this was made",
    ]  # fmt: skip
    assert "found, measured" in page
    assert "a random one" in page
    assert f"--run {run.folder} --pick" in page
    assert supernet("report").code == 0
    assert (run.folder / "report.html").read_text().replace(
        "--run runs/one", f"--run {run.folder}"
    ).count("<section") == page.count("<section")


def test_a_run_without_searches_has_a_page(supernet: Command, run: Run) -> None:
    (run.searches / "phone" / "result.json").unlink()
    assert supernet("report").code == 0
    page = (run.folder / "report.html").read_text()
    assert "no subnet was searched for yet" in page


def test_a_damaged_search_is_named_on_the_page(supernet: Command, run: Run) -> None:
    (run.searches / "phone" / "scored.npz").write_bytes(b"")
    assert supernet("report").code == 0
    page = (run.folder / "report.html").read_text()
    assert "Search phone, left out" in page


def test_nothing_to_draw_says_so(supernet: Command) -> None:
    found = supernet("report")
    assert found.code == 2
    assert "neither a run below ./runs nor results below ./searches" in found.stderr
