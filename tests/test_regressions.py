"""Bugs that were found once; each test says what must hold."""

import contextlib
import json
import sqlite3
from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image

from supernet.data import load_folder
from supernet.data.decoding import Square
from supernet.errors import ConfigError, FileFormatError
from supernet.evaluate import Condition, Evaluation, Evidence
from supernet.files import atomic_path
from supernet.latency import LatencyTable, Row, Timing, build_onnx, this_machine
from supernet.latency.kit import run
from supernet.predict import AccuracyPairs, cross_validate, fit_predictor, load_predictor
from supernet.search import ALGORITHMS, Accuracy, Problem, run_search
from supernet.search import latency as latency_on
from supernet.space import (
    Domain,
    Head,
    Space,
    Stage,
    Stem,
    SubnetFile,
    check_operators,
    decode,
    largest_subnet,
    load_space,
    one_hot,
    operators,
    operators_of,
    sample,
    save_space,
    smallest,
)

FIXED = Stage(width=(8,), depth=(1,))
ONE = Space(name="one", resolutions=(16,), stem=Stem(width=(8,)), stages=(FIXED,), head=Head())
DEMO = load_space("demo")
TWO = replace(ONE, name="two", resolutions=(16, 24), stem=Stem(width=(8, 16)))
OURS = (ConfigError, FileFormatError)


def pairs(n=12):
    rng = np.random.default_rng(0)
    return sample(DEMO, n, rng), rng.uniform(50, 90, n)


def test_hash_survives_yaml_when_ratios_are_ints(tmp_path):
    save_space(TWO, tmp_path / "a.yaml")
    assert load_space(tmp_path / "a.yaml") == TWO
    assert load_space(tmp_path / "a.yaml").hash == TWO.hash


def timed(tasks):
    return {task.key: Timing(1.0, 0.0) for task in tasks}


def test_this_machine_survives_a_table_that_breaks_rules(tmp_path, monkeypatch):
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path))
    monkeypatch.setattr(run, "measure_tasks", lambda tasks, *a, **k: timed(tasks))
    path = tmp_path / "latency_tables" / "this_machine.json"
    path.parent.mkdir()
    path.write_text('{"format": "supernet.latency_table", "version": 1}')
    this_machine(ONE)


def test_a_correction_or_error_of_another_space_is_not_reused(tmp_path, monkeypatch):
    """Rows suffice -> the held-out error returned was found on networks of another space."""
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path))
    asked: list[str] = []

    def fake(tasks, *a, **k):
        asked.extend(task.key for task in tasks)
        return timed(tasks)

    monkeypatch.setattr(run, "measure_tasks", fake)
    this_machine(TWO)
    asked.clear()
    this_machine(replace(TWO, name="part", resolutions=(16,)))
    assert "n0" in asked
    assert "o0" not in asked


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    Image.fromarray(np.full((20, 20), 1 << 15, np.uint16)).save(tmp_path / "a.png")
    assert abs(int(Square(side=8).decoded(tmp_path / "a.png").pixels[0, 0, 0]) - 128) <= 2


def folder(root):
    for split in ("train", "val"):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (12, 12), (i, i, i)).save(root / split / name / f"{i}.png")
    return root


def test_a_dangling_link_is_left_out_and_told(tmp_path):
    root, told = folder(tmp_path / "d"), []
    (root / "train/a/link.png").symlink_to("nowhere.png")
    load_folder(
        root, resolution=16, cache=tmp_path / "c", progress=lambda *what: told.append(what[2])
    )
    assert "left out 1 file: 1 leading nowhere (links)" in told


@pytest.mark.parametrize("length", [0, 60, 500])
def test_a_damaged_cache_is_decoded_again(tmp_path, length):
    root = folder(tmp_path / "d")
    load_folder(root, resolution=16, cache=tmp_path / "c")
    for path in (tmp_path / "c").iterdir():
        path.write_bytes(path.read_bytes()[:length])
    load_folder(root, resolution=16, cache=tmp_path / "c")


@pytest.mark.parametrize("value", ["!!bool foo", "!!int ''", "!!float ''"])
def test_bad_yaml_scalars(tmp_path, value):
    (tmp_path / "a.yaml").write_text(f"format: supernet.space\nversion: 1\nname: {value}\n")
    with pytest.raises(OURS):
        load_space(tmp_path / "a.yaml")


@pytest.mark.timeout(20)
def test_billion_laughs(tmp_path):
    lines = ["format: supernet.space", "version: 1", "x0: &x0 [a,a,a,a,a,a,a,a,a,a]"]
    lines += [f"x{i}: &x{i} [{','.join([f'*x{i - 1}'] * 10)}]" for i in range(1, 8)]
    (tmp_path / "a.yaml").write_text("\n".join([*lines, "stem: *x7"]))
    with pytest.raises(OURS):
        load_space(tmp_path / "a.yaml")


def measured(genes, top1):
    return AccuracyPairs(space=DEMO, genes=genes, top1=top1)


def test_huge_gene(tmp_path):
    fit_predictor(measured(*pairs()), "gp").save(tmp_path / "p.json")
    body = json.loads((tmp_path / "p.json").read_text())
    body["pairs"][0]["genes"][0] = 2**63
    (tmp_path / "p.json").write_text(json.dumps(body))
    with pytest.raises(OURS):
        load_predictor(tmp_path / "p.json", DEMO)


def test_huge_resolution(tmp_path):
    path = tmp_path / "s.json"
    SubnetFile.of(DEMO, largest_subnet(DEMO)).save(path)
    body = json.loads(path.read_text()) | {"resolution": 10**400}
    path.write_text(json.dumps(body))
    with pytest.raises(OURS):
        check_operators(DEMO, SubnetFile.load(path))


def test_infinity_as_1e999(tmp_path):
    path = tmp_path / "s.json"
    SubnetFile.of(DEMO, largest_subnet(DEMO), predicted={"top1": 1.5}).save(path)
    path.write_text(path.read_text().replace('"top1": 1.5', '"top1": 1e999'))
    with pytest.raises(OURS):
        SubnetFile.load(path)


def table(**changes):
    rows = {o: Row(operator=o, ms=0.1, spread_ms=0.0) for o in operators_of(DEMO)}
    return LatencyTable(target="t", device={}, rows=rows, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"held_out": {"predicted_ms": [1, 2], "measured_ms": [1, 2, 3]}},
        {"held_out": {"predicted_ms": [1, 2], "measured_ms": [0, 2]}},
        {"held_out": {"predicted_ms": [1, 2], "measured_ms": [-1, 2]}},
        {"held_out": {"predicted_ms": [1, 2], "measured_ms": []}},
        {"correction": {"slope": "INF"}},
        {"threads": -3},
        {"batch": 0},
    ],
)
def test_impossible_tables(tmp_path, change):
    path = tmp_path / "t.json"
    table().save(path)
    body = json.loads(path.read_text()) | change
    path.write_text(json.dumps(body).replace('"INF"', "1e999"))
    with pytest.raises(OURS):
        LatencyTable.load(path)


def test_key_with_line_break(tmp_path):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"format": "supernet.subnet", "version": 1, "a\nb\x1b[31m": 1}))
    with pytest.raises(ConfigError) as caught:
        SubnetFile.load(path)
    assert all("\n" not in p and "\x1b" not in p for p in caught.value.problems)


def test_space_of_one_subnet():
    def flat(genes):
        return np.ones(len(genes))

    assert one_hot(ONE, smallest(ONE)).shape == (1, 0)
    assert len(Domain.of(ONE).neighbours(smallest(ONE))) == 0
    rows = {o: Row(operator=o, ms=0.1, spread_ms=0.0) for o in operators_of(ONE)}
    latency = LatencyTable(target="t", device={}, rows=rows).predictor(ONE)
    problem = Problem(
        domain=Domain.of(ONE), objectives=(Accuracy(function=flat), latency_on("t", latency))
    )
    for info in ALGORITHMS.values():
        assert len(run_search(problem, factory=info.factory)) == 1


@pytest.mark.filterwarnings("error")
def test_equal_accuracies():
    genes, _ = pairs()
    predictor = fit_predictor(measured(genes, np.full(12, 50.0)), "gp")
    assert predictor.mean(genes) == pytest.approx(50.0)


def test_cross_validation_says_how_many_pairs_it_needs():
    with pytest.raises(ConfigError, match="at least 8 accuracy pairs, found 7"):
        cross_validate(measured(*pairs(7)))


def test_only_operators_that_some_subnet_has():
    subnets = decode(DEMO, sample(DEMO, 8000, np.random.default_rng(0)))
    used = {operator for subnet in subnets for operator in operators(DEMO, subnet)}
    assert len(operators_of(DEMO)) <= len(used) + 3


def test_graphs_are_valid_onnx():
    model = build_onnx(operators(DEMO, largest_subnet(DEMO)))
    onnx.checker.check_model(onnx.load_from_string(model))


def test_foreign_database(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "e")) as database, database:
        database.execute("create table evaluations (a, b)")
    with pytest.raises(FileFormatError):
        Evidence(tmp_path / "e")


def test_a_nan_accuracy_does_not_blame_the_file(tmp_path):
    condition = Condition(weights="w", data="d", split="test", calibration_images=1)
    row = Evaluation(key="a", genes=(0,), top1=float("nan"), loss=1.0, seconds=0.0)
    with pytest.raises(ConfigError):
        Evidence(tmp_path / "e").add(condition, [row])


def test_errors_of_reading_inside_atomic_path_are_not_write_errors(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "missing input").read_bytes()


def test_hidden_folders_are_no_classes(tmp_path):
    root = folder(tmp_path / "d")
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/a/._0.png").write_bytes(b"\0\5\x16\7")
    load_folder(root, resolution=16, cache=tmp_path / "c")
