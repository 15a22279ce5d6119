"""Saved searches: the same when they are read again, and never half or silently wrong."""

import builtins
import csv
import json
import multiprocessing
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError, MissingPackageError, SupernetError
from supernet.files import sha256
from supernet.latency import load_target
from supernet.predict import Validation
from supernet.search import (
    Accuracy,
    Budget,
    MeasuredRecord,
    PredictorRecord,
    Problem,
    latency,
    load_result,
    macs,
    new_result_folder,
    params,
    result_folders,
    run_search,
    save_result,
)
from supernet.search._scored import write_scored
from supernet.space import Domain, Genes, load_space, macs_of, operators, params_of

SPACE = replace(load_space("mobilenet_v3"), num_classes=10)
MACS = macs(SPACE)
TABLE = load_target("mobile_cpu")
LATENCY = TABLE.predictor(SPACE)
LIMITS = {"latency@mobile_cpu": 40.0, "params": 6.5e6}


def _top1(genes: Genes) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = 60 + 20 * (1 - np.exp(-MACS(genes) / 3e8)) + 0.01 * genes.sum(axis=1)
    return np.asarray(found)


PROBLEM = Problem(
    domain=Domain.of(SPACE, {"resolution": [160, 192, 224]}),
    objectives=(Accuracy(function=_top1), latency("mobile_cpu", LATENCY)),
    others=(MACS, params(SPACE)),
    limits=LIMITS,
)
RESULT = run_search(PROBLEM, budget=Budget(scored=1500))
PREDICTOR = PredictorRecord.of(
    "ridge",
    Validation(
        predicted=np.array([70.0, 71.0, 72.5]),
        measured=np.array([70.5, 70.7, 72.0]),
        std=np.array([0.5, 0.5, 0.5]),
    ),
    labels=("a", "b", "c"),
)
REQUEST = {"target": ["mobile_cpu"], "limits": {"latency": 40.0}, "seed": 0}
MEASURED = (MeasuredRecord(index=int(RESULT.front[0]), figures={"top1": 71.5}, within=True),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = new_result_folder(tmp_path, "mobile_cpu")
    save_result(
        RESULT,
        path,
        request=REQUEST,
        predictor=PREDICTOR,
        tables={"mobile_cpu": TABLE},
        measured=MEASURED,
    )
    return path


def test_a_result_is_the_same_when_read_again(folder: Path) -> None:
    saved = load_result(folder)
    assert saved.name == "mobile_cpu"
    assert saved.request == REQUEST
    assert saved.predictor == PREDICTOR
    assert saved.measured == MEASURED
    assert saved.result.problem == RESULT.problem
    assert saved.result.problem.fixed == {"resolution": [160, 192, 224]}
    assert saved.result.problem.space.num_classes == 10
    assert (saved.result.genes == RESULT.genes).all()
    assert (saved.result.front == RESULT.front).all()
    assert saved.result.seconds == RESULT.seconds
    for name, values in RESULT.columns.items():
        assert (saved.result.columns[name] == values).all()
    assert saved.chosen == RESULT.best()
    assert saved.subnet == RESULT.subnet()


def test_facts_of_a_target_are_kept_with_the_times_of_the_front(folder: Path) -> None:
    saved = load_result(folder)
    target = saved.target("mobile_cpu")
    assert target is not None
    assert target.device == TABLE.device
    assert target.measured_ms == TABLE.held_out.measured_ms
    for index in RESULT.front.tolist():
        parts = operators(SPACE, RESULT.subnet(index))
        total = LATENCY.intercept_ms + sum(target.operators_ms[o.key] for o in parts)
        assert total == pytest.approx(RESULT.columns["latency@mobile_cpu"][index])


def test_the_front_is_a_table_for_a_spreadsheet(folder: Path) -> None:
    with (folder / "front.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    genes = RESULT.genes[RESULT.front]
    assert list(rows[0]) == ["top1", "latency@mobile_cpu", "macs", "params", "key", "subnet"]
    assert [int(row["macs"]) for row in rows] == macs_of(SPACE, genes).tolist()
    assert [int(row["params"]) for row in rows] == params_of(SPACE, genes).tolist()
    assert rows[0]["key"] == RESULT.subnet(int(RESULT.front[0])).key


def test_measured_figures_may_be_missing_off_the_front(tmp_path: Path) -> None:
    values = RESULT.columns["top1"].copy()
    off = np.setdiff1d(np.arange(len(RESULT)), RESULT.front)
    values[off] = np.nan
    found = replace(RESULT, columns={**RESULT.columns, "top1": values}, bound=81.5)
    folder = new_result_folder(tmp_path, "measured")
    save_result(found, folder, request={}, chosen=int(RESULT.front[1]))
    saved = load_result(folder)
    assert np.isnan(saved.result.columns["top1"][off]).all()
    assert saved.result.bound == 81.5
    assert saved.chosen == RESULT.front[1]
    assert saved.predictor is None
    assert saved.targets == ()


# ---------------------------------------------------------------- folders


def test_a_second_search_never_takes_the_folder_of_the_first(tmp_path: Path) -> None:
    names = [new_result_folder(tmp_path / "search", "pixel").name for _ in range(3)]
    assert names == ["pixel", "pixel-2", "pixel-3"]


def _take(parent: Path) -> str:
    return new_result_folder(parent, "same").name


def test_searches_at_once_never_share_a_folder(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        names = pool.map_async(_take, [tmp_path] * 20).get(timeout=120)
    assert len({*names}) == 20


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "x" * 101, "a\nb", "a "])
def test_a_name_that_is_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a result's name"):
        new_result_folder(tmp_path, name)


def test_only_folders_with_a_result_are_listed(folder: Path) -> None:
    new_result_folder(folder.parent, "stopped")
    assert result_folders(folder.parent) == [folder]


def test_a_result_is_never_overwritten(folder: Path) -> None:
    before = sha256(folder / "result.json")
    with pytest.raises(ConfigError, match="holds a result already"):
        save_result(RESULT, folder, request={})
    assert sha256(folder / "result.json") == before


@pytest.mark.parametrize("request_", [{"f": print}, {"limit": float("nan")}])
def test_a_failed_write_leaves_nothing(request_: dict[str, Any], tmp_path: Path) -> None:
    folder = new_result_folder(tmp_path, "x")
    with pytest.raises(ConfigError, match="request: must hold plain, finite values"):
        save_result(RESULT, folder, request=request_)
    assert list(folder.iterdir()) == []


# ---------------------------------------------------------------- damage


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "result.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return edit


def _rescored(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Other arrays under a digest that fits, as from someone who knows how."""

    def edit(folder: Path) -> None:
        path = folder / "scored.npz"
        with np.load(path) as loaded:
            arrays = dict(loaded)
        change(arrays)
        np.savez(path, **arrays)
        _edit(lambda d: d.update(scored_sha256=sha256(path)))(folder)

    return edit


def _flip(folder: Path) -> None:
    path = folder / "scored.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _bomb(folder: Path) -> None:
    path = folder / "scored.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("genes.npy", "w", force_zip64=True) as handle,
    ):
        for _ in range(1100):
            handle.write(bytes(2**20))
    _edit(lambda d: d.update(scored_sha256=sha256(path)))(folder)


def _foreign_space(folder: Path) -> None:
    from supernet.space import save_space

    save_space(load_space("demo"), folder / "space.yaml")


def _break_limit(document: dict[str, Any]) -> None:
    document["axes"][1]["limit"] = 10.0


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no document": (lambda f: (f / "result.json").unlink(), "no result of a search"),
    "no arrays": (lambda f: (f / "scored.npz").unlink(), "scored.npz: no such file"),
    "no space": (lambda f: (f / "space.yaml").unlink(), "space.yaml"),
    "half a document": (
        lambda f: (f / "result.json").write_text((f / "result.json").read_text()[:500]),
        "not valid json",
    ),
    "flipped bit": (_flip, "damaged or edited: its SHA-256"),
    "bomb": (_bomb, "unpacks to"),
    "pickle": (
        _rescored(lambda a: a.update(top1=np.array([print] * len(RESULT), dtype=object))),
        "not arrays as they were written: Object arrays cannot be loaded",
    ),
    "missing column": (_rescored(lambda a: a.pop("macs")), "'macs' is not there"),
    "another column": (_rescored(lambda a: a.update(x=a["macs"])), "'x' is float64"),
    "short column": (
        _rescored(lambda a: a.update(top1=a["top1"][1:])), r"'top1' is float64 \(1499",
    ),
    "wrong genes": (
        _rescored(lambda a: a.update(genes=np.full_like(a["genes"], 99))),
        "scored subnet 0: genes that are no choices",
    ),
    "genes without effect": (
        _rescored(lambda a: a["genes"].__setitem__(..., a["genes"].clip(1, 1))),
        "genes without effect must be 0",
    ),
    "NaN on the front": (
        _rescored(lambda a: a["top1"].__setitem__(int(RESULT.front[2]), np.nan)),
        "front: a subnet has no top1",
    ),
    "front out of range": (_edit(lambda d: d["front"].append(10**6)), "at least one index"),
    "front twice": (_edit(lambda d: d["front"].append(d["front"][0])), "the same subnet twice"),
    "no front": (_edit(lambda d: d.update(front=[])), "expected at least one index"),
    "chosen out of range": (_edit(lambda d: d.update(chosen=-1)), "expected at least one index"),
    "chosen is a text": (_edit(lambda d: d.update(chosen="3")), "chosen: Expected `int`"),
    "lower limit": (_edit(_break_limit), "front: a subnet breaks a limit"),
    "limit below 0": (_edit(lambda d: d["axes"][1].update(limit=-1.0)), "must be above 0"),
    "no objective": (
        _edit(lambda d: [axis.update(objective=False) for axis in d["axes"]]),
        "at least one objective",
    ),
    "count": (_edit(lambda d: d.update(scored=7)), r"'genes' is int8 \(1500"),
    "huge count": (_edit(lambda d: d.update(scored=10**30)), "scored"),
    "foreign target": (_edit(lambda d: d["targets"][0].update(name="tv")), "no figure is of 'tv'"),
    "measured out of range": (
        _edit(lambda d: d["measured"][0].update(index=1500)),
        "measured: expected an index from 0 and below 1500, found 1500",
    ),
    "measured of another": (
        _edit(lambda d: d["measured"][0]["figures"].update(power=3.0)),
        "measured: no figure is named 'power'",
    ),
    "uneven predictor": (
        _edit(lambda d: d["predictor"]["measured"].pop()),
        "expected equally many, found 2, 3",
    ),
    "unknown key": (_edit(lambda d: d.update(chosn=1)), "chosn: unknown key"),
    "newer": (_edit(lambda d: d.update(version=2)), "newer than 1"),
    "other kind": (_edit(lambda d: d.update(format="supernet.subnet")), "expected format"),
    "other space": (_foreign_space, "not the space of result.json"),
    "other classes": (_edit(lambda d: d["space"].update(num_classes=11)), "not the space of"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_damaged_folder_is_answered_by_one_line(case: str, folder: Path) -> None:
    damage, message = BROKEN[case]
    damage(folder)
    with pytest.raises(SupernetError, match=message) as caught:
        load_result(folder)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FileFormatError | ConfigError)


def test_figures_of_earlier_versions_did_not_say_their_target(folder: Path) -> None:
    _edit(lambda document: [axis.pop("target") for axis in document["axes"]])(folder)
    assert load_result(folder).result.problem == RESULT.problem
    assert [axis.target for axis in RESULT.problem.axes if axis.target] == ["mobile_cpu"]


def test_arrays_are_read_by_plain_numpy(tmp_path: Path) -> None:
    write_scored(tmp_path / "scored.npz", RESULT.genes, RESULT.columns)
    with np.load(tmp_path / "scored.npz", allow_pickle=False) as loaded:
        assert (loaded["genes"] == RESULT.genes).all()
        assert (loaded["latency@mobile_cpu"] == RESULT.columns["latency@mobile_cpu"]).all()


def test_a_folder_may_be_moved(folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "mine")
    assert load_result(moved).name == "mine"


# ---------------------------------------------------------------- as a value


def test_a_result_prints_a_few_lines() -> None:
    best = RESULT.figures(RESULT.best())["top1"]
    lines = repr(RESULT.bounded(best + 1.234)).splitlines()
    assert lines[0].startswith("SearchResult: 1500 subnets of space 'mobilenet_v3' scored, ")
    assert lines[1].startswith("  best:     top1 ")
    assert lines[3] == "  limits:   latency@mobile_cpu <= 40 ms, params <= 6.5 M"
    above = np.ceil(100 * (best + 1.234)) / 100  # rounded down, it would not be true
    words = f"no subnet within the limits is predicted above {above:.2f} %"
    assert lines[4] == f"  proven:   {words}; found {best:.2f} %"
    assert len(lines) == 5


def test_a_bound_that_is_reached_says_that_nothing_is_better() -> None:
    best = RESULT.figures(RESULT.best())["top1"]
    proven = RESULT.bounded(best - 1e-13)  # another order of the same sum
    assert proven.bound == best
    assert proven.proof.startswith("the best there is, no subnet within the limits is predicted ")
    assert not RESULT.bounded(None).proof


def test_a_number_picks_from_the_front() -> None:
    assert RESULT.pick("1") == RESULT.front[0]
    assert RESULT.pick(" 3 ") == RESULT.front[2]
    assert RESULT.pick(str(len(RESULT.front))) == RESULT.front[-1]
    assert RESULT.pick("best") == RESULT.best()


@pytest.mark.parametrize("text", ["latency<=20", "latency@mobile_cpu <= 20.0", "latency<=2e1"])
def test_a_limit_picks_the_best_within_it(text: str) -> None:
    index = RESULT.pick(text)
    within = RESULT.front[RESULT.columns["latency@mobile_cpu"][RESULT.front] <= 20]
    assert index in RESULT.front
    assert RESULT.columns["top1"][index] == RESULT.columns["top1"][within].max()


def test_limits_on_figures_off_the_front_pick_among_all_scored() -> None:
    index = RESULT.pick("macs<=150e6, latency>=8")
    kept = RESULT.within_limits
    kept = kept[(RESULT.columns["macs"][kept] <= 150e6)]
    kept = kept[(RESULT.columns["latency@mobile_cpu"][kept] >= 8)]
    assert RESULT.columns["top1"][index] == RESULT.columns["top1"][kept].max()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("latency<=7, macs<=150M", "latency<=7,macs<=150e6"),
        ("macs <= 0.2 G", "macs<=200000000"),
        ("latency<=6.5ms", "latency<=6.5"),
        ("top1>=70%", "top1>=70"),
    ],
)
def test_limits_of_a_pick_may_have_units(text: str, same: str) -> None:
    assert RESULT.pick(text) == RESULT.pick(same)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "the front has .* counted from 1"),
        ("-1", "counted from 1"),
        ("99999", "the front has"),
        ("9" * 5000, "the front has"),
        ("", "neither a number nor limits"),
        ("fastest", "neither a number nor limits"),
        ("latency=12", "neither a number nor limits"),
        ("latency<=", "neither a number nor limits"),
        ("latency<=fast", "'fast' is no finite number"),
        ("latency<=nan", "'nan' is no finite number"),
        ("latency<=12M", "'12M' is no finite number of latency@mobile_cpu"),
        ("energy<=3", "names 0 figures; this result has top1, latency@mobile_cpu"),
        ("latency<=0.1", "no scored subnet within the limits has latency@mobile_cpu <= 0.1"),
        ("latency<=7, macs>=150e6", "together"),
    ],
)
def test_a_pick_that_names_nothing_says_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RESULT.pick(text)


@pytest.mark.parametrize(
    "target",
    [
        "my phone",
        " lead ",
        "x<=5",
        "x>=1, macs<=2",
        "a,b",
        "a=b",
        "手机 1",
        "best",
        "3",
        "@",
        "%(\\",
    ],
)
def test_a_pick_names_any_target(target: str) -> None:
    name, other, values = f"latency@{target}", "latency@x", RESULT.columns["latency@mobile_cpu"]
    first, second, *others = RESULT.problem.axes
    axes = (first, replace(second, name=name, target=target), *others)
    axes += (replace(second, name=other, target="x", objective=False),)
    columns = {**RESULT.columns, name: values, other: 2 * values}
    result = replace(RESULT, problem=replace(RESULT.problem, axes=axes), columns=columns)
    assert result.pick(f"{name}<=7ms") == RESULT.pick("latency<=7")
    assert result.pick(f"macs<=1G,{name} <= 7, params>=1") == RESULT.pick("latency<=7")
    assert result.pick(f"{other}<=16, {name}<=20") == RESULT.pick("latency<=8")


def test_a_data_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match="needs the package pandas") as caught:
        RESULT.to_dataframe()
    assert caught.value.hint == "pip install pandas"


def test_a_data_frame_holds_the_front_or_all() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    front, every = RESULT.to_dataframe(), RESULT.to_dataframe(scored=True)
    assert front.index.tolist() == RESULT.front.tolist()
    assert list(front.columns)[-2:] == ["subnet", "key"]
    assert (len(every), int(every["front"].sum())) == (len(RESULT), len(RESULT.front))
