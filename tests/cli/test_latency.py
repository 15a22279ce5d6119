"""`supernet latency`: what is known of devices, from the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from supernet.cli.main import main
from supernet.latency import HeldOut, LatencyTable, Row, load_target, own_tables
from supernet.space import (
    Body,
    OperatorSum,
    Space,
    SubnetFile,
    decode,
    encode,
    load_space,
    operators,
    operators_of,
    sample,
    save_space,
)

Command = Callable[..., Any]

pytestmark = pytest.mark.cli


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def write_subnets(space: Space, count: int, folder: Path = Path()) -> list[Path]:
    genes = sample(space, count, np.random.default_rng(0))
    paths = []
    for number, subnet in enumerate(decode(space, genes)):
        paths.append(folder / f"{space.name}{number}.json")
        file = SubnetFile(subnet=subnet, operators=tuple(operators(space, subnet)))
        file.save(paths[-1])
    return paths


def write_networks(space: Space, count: int, ms: Any = None) -> Path:
    """A CSV of subnets whose times follow a shipped model, three times as slow."""
    paths = write_subnets(space, count)
    subnets = [SubnetFile.load(path).subnet for path in paths]
    model = load_target("mobile_cpu").model
    genes = sample(space, count, np.random.default_rng(0))
    times = 3 * OperatorSum(space, model.ms)(genes) if ms is None else ms
    assert subnets == decode(space, genes)
    lines = [f"{path},{value:.9g}" for path, value in zip(paths, times)]
    Path("networks.csv").write_text("\n".join(["subnet,ms", *lines]) + "\n")
    return Path("networks.csv")


def one_line(result: Any, code: int = 2) -> str:
    assert result.code == code, result.stderr
    lines = [x for x in result.stderr.splitlines() if not x.startswith("fitting")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return str(lines[0])


# ------------------------------------------------------------------ the group


FLAGS = {
    "predict": {"--target", "--features", "--size"},
    "show": {"--subnet", "--space", "--of"},
    "check": {"--measure", "--networks", "--column", "--unit", "--space", "--max-mape", "--seed"},
    "fit": {
        "--space",
        "--column",
        "--unit",
        "--output",
        "--from",
        "--device",
        "--batch",
        "--hold-out",
    },
    "list": set(),
}


@pytest.mark.parametrize("name", FLAGS)
def test_no_flag_appears_or_goes_unnoticed(name: str):
    context = click.Context(main)
    group = main.get_command(context, "latency")
    assert isinstance(group, click.Group)
    command = group.get_command(context, name)
    assert command
    options = [p for p in command.params if isinstance(p, click.Option)]
    found = {flag for option in options for flag in option.opts if flag.startswith("--")}
    assert found == FLAGS[name] | {"--json", "--debug"}


def test_help_lists_the_commands_without_importing_them(tmp_path: Path):
    code = (
        "import sys\nfrom supernet.cli.main import main\n"
        "try: main(['latency', '--help'])\nexcept SystemExit: pass\n"
        "print(*sorted(m for m in sys.modules if m.startswith('supernet.cli.latency.')))\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *text, modules, numpy = done.stdout.splitlines()
    assert all(any(line.split()[:1] == [name] for line in text) for name in FLAGS)
    assert (modules, numpy) == ("", "False")


def test_a_misspelt_command_suggests_the_nearest(supernet: Command):
    assert "no command 'shwo'; did you mean 'show'?" in one_line(supernet("latency", "shwo"))


def test_predictions_need_no_torch(tmp_path: Path):
    code = (
        "import sys\nfrom supernet.cli.main import main\n"
        "try: main(['latency', 'show', 'mobile_cpu'])\n"
        "except SystemExit as stop: sys.exit(stop.code or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


# ------------------------------------------------------------------ list


def test_the_list_is_that_of_targets(supernet: Command):
    listed, targets = supernet("latency", "list", "--json"), supernet("targets", "--json")
    assert listed.stdout == targets.stdout
    assert listed.stdout.count("\n") == 1
    known = {target["name"]: target for target in listed.json["targets"]}
    assert set(known) == {*known} | {"mobile_cpu", "mobile_cpu_pixel1", "this_machine"}
    phone = known["mobile_cpu"]
    assert (phone["precision"], phone["threads"], phone["mape"]) == ("fp32", 1, None)
    assert phone["device"]["runtime"] == "TensorFlow Lite"
    assert 0 < phone["model_mape"] < 2
    text = supernet("targets").stdout
    line = next(line for line in text.splitlines() if " mobile_cpu " in line)
    assert "networks not known" in line
    assert not known["this_machine"]["measured"]


# ------------------------------------------------------------------ predict


def test_subnets_are_predicted_with_interval_origins_and_stages(supernet: Command):
    space = load_space("mobilenet_v3")
    paths = write_subnets(space, 2)
    result = supernet("latency", "predict", *paths, "--target", "mobile_cpu", "--json")
    assert result.code == 0, result.stderr
    table = load_target("mobile_cpu")
    expected = table.predict_ms(space, sample(space, 2, np.random.default_rng(0)))
    for index, found in enumerate(result.json["subnets"]):
        assert found["subnet"] == str(paths[index])
        assert found["latency_ms"] == pytest.approx(expected.ms[index])
        assert found["latency_low_ms"] == pytest.approx(expected.low_ms[index])
        assert found["rows"] == {
            "measured": 0, "interpolated": 0, "fitted": expected.fitted[index]
        }  # fmt: skip
        assert sum(found["stages_ms"].values()) == pytest.approx(found["latency_ms"])
        assert list(found["stages_ms"]) == ["stem", *(f"stage{s}" for s in range(1, 7)), "head"]
        assert f"{expected.ms[index]:.4g}" in result.stdout
    assert "no whole network" in result.stdout


def test_backbones_are_predicted_without_their_head_at_a_size(supernet: Command):
    space = load_space("mobilenet_v3")
    (path,) = write_subnets(space, 1)
    told = {}
    for size in ([], ["--size", "320x256"]):
        maps = ("--features", "8,16", *size)
        result = supernet("latency", "predict", path, "--target", "mobile_cpu", *maps, "--json")
        assert result.code == 0, result.stderr
        told[len(size)] = result.json["subnets"][0]
        assert list(told[len(size)]["stages_ms"]) == ["stem", *(f"stage{s}" for s in range(1, 6))]
    table, subnet = load_target("mobile_cpu"), SubnetFile.load(path).subnet
    expected = table.predict_ms(space, encode(space, [subnet]), Body(features=(8, 16))).ms[0]
    assert told[0]["latency_ms"] == pytest.approx(expected)
    assert told[2]["latency_ms"] > told[0]["latency_ms"]
    refused = supernet("latency", "predict", path, "--target", "mobile_cpu", "--size", "320")
    assert "size: is for backbones" in refused.stderr


def test_the_tables_fit_in_80_columns_and_cut_no_name(
    supernet: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    space, folder = load_space("resnet50"), Path("runs/resnet50-20261121/searches/mobile_cpu")
    paths = write_subnets(space, 6, folder)
    result = supernet("latency", "predict", *paths, "--target", "mobile_cpu")
    assert max(map(len, result.stdout.splitlines()[len(paths) :])) <= 80
    assert f"6: {paths[5]}\n" in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if line.startswith(" stage2")]
    shown = supernet("latency", "show", "mobile_cpu", "--space", "resnet50")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "…" not in shown.stdout
    assert " mobile_cpu_pixel1 " in supernet("targets").stdout
    assert "operators, all fitted" in shown.stdout
    assert shown.stdout.count(" %  █") > 20


def test_an_error_that_is_not_known_is_said(supernet: Command):
    paths = write_subnets(load_space("demo"), 1)
    result = supernet("latency", "predict", *paths, "--target", "mobile_cpu", "--json")
    assert "error not known" in result.stdout
    found = result.json["subnets"][0]
    assert (found["latency_low_ms"], found["interval_of"]) == (None, "unknown")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["predict", "--target", "mobile_cpu"], "Missing argument 'SUBNET.json...'"),
        (["predict", "a.json"], "Missing option '--target'"),
        (["predict", "a.json", "--target", "mobile_cpu"], "a.json: no such file"),
        (["predict", "a.json", "--target", "moble_cpu"], "did you mean 'mobile_cpu'?"),
        (["show", "nowhere"], "unknown target 'nowhere'"),
        (["show", "nowhere.json"], "nowhere.json: no such file"),
        (["show", "mobile_cpu", "--space", "dem"], "did you mean 'demo'?"),
        (["show", "mobile_cpu", "--subnet", "a", "--space", "demo"], "--space is not for --subnet"),
        (["check", "mobile_cpu", "--networks", "a.npz"], "--networks and --column belong together"),
        (["check", "mobile_cpu", "--column", "ms"], "--networks and --column belong together"),
        (["check", "mobile_cpu", "--measure", "2"], "give --space"),
        (["check", "mobile_cpu", "--max-mape", "2"], "no network to compare with"),
        (["fit", "a.npz", "--space", "demo", "--column", "ms"], "a.npz: no such file"),
        (["fit", "a.csv", "--space", "demo", "--column", "ms"], "a.csv: no such file"),
        (["fit", "a", "--space", "demo", "--column", "this_machine"], "cannot name a target"),
        (["fit", "a", "--space", "demo", "--column", "a", "-o", "a.txt"], "must end in .json"),
        (["import", "ofa"], "no table was named"),
        (["import", "ofa", "nowhere"], "nowhere: no such file"),
    ],
)
def test_what_is_missing_or_misspelt_is_named(supernet: Command, arguments: list[str], text: str):
    result = supernet("latency", *arguments)
    assert text in f"{one_line(result)}"
    assert not list(Path().rglob("latency_tables/*"))


# ------------------------------------------------------------------ show


@pytest.mark.parametrize("which", ["largest", "smallest", "fastest"])
def test_bars_say_where_the_time_goes(supernet: Command, which: str):
    arguments = ["show", "mobile_cpu", "--space", "proxyless", "--of", which, "--json"]
    result = supernet("latency", *arguments)
    assert result.code == 0, result.stderr
    space, table = load_space("proxyless"), load_target("mobile_cpu")
    found = result.json
    assert sum(o["ms"] for o in found["operators"]) == pytest.approx(found["latency_ms"])
    assert {o["origin"] for o in found["operators"]} == {"fitted"}
    if which == "fastest":
        fastest = table.predictor(space)
        assert found["latency_ms"] == pytest.approx(fastest.ms(fastest.fastest())[0])
    assert result.stdout.count("█") > 50
    assert "450 rows of ofa/note10" in result.stdout
    assert "networks not known" in result.stdout


def test_a_table_of_nothing_but_zeros_is_shown(supernet: Command):
    rows = {o: Row(operator=o, ms=0.0, spread_ms=0.0) for o in operators_of(load_space("demo"))}
    LatencyTable(target="zero", device={}, rows=rows).save(Path("zero.json"))
    result = supernet("latency", "show", "zero.json", "--space", "demo", "--json")
    assert (result.code, result.stderr) == (0, "")
    assert set(result.json["stages_ms"].values()) == {0.0}
    subnet = write_subnets(load_space("demo"), 1)[0]
    result = supernet("latency", "predict", subnet, "--target", "zero.json", "--json")
    assert (result.code, result.stderr) == (0, "")
    assert set(result.json["subnets"][0]["shares"].values()) == {0.0}


def test_a_table_is_shown_by_a_space_that_it_was_built_for(supernet: Command):
    table = load_target("mobile_cpu")
    for spaces, drawn in (
        (["tiny", "proxyless", "demo"], "proxyless"),
        (["tiny"], ""),
        ([], "mobilenet_v3"),
    ):
        held_out = HeldOut(predicted_ms=(1.0,), measured_ms=(1.0,), space=", ".join(spaces))
        own = dict.fromkeys(spaces, table.correction) if len(spaces) > 1 else {}
        replace(table, held_out=held_out, corrections=own).save(Path("own.json"))
        result = supernet("latency", "show", "own.json")
        if drawn:
            assert f"the largest subnet of {drawn}: " in result.stdout
            assert not result.stderr
        else:
            assert result.code == 2
            assert "built for space 'tiny', which is not a shipped one (--space" in result.stderr


# ------------------------------------------------------------------ fit and check


def test_a_table_is_fitted_checked_and_searchable(supernet: Command):
    space = load_space("demo")
    networks = write_networks(space, 120)
    options = ["--space", "demo", "--column", "ms", "-o", "own.json", "--device", "a phone"]
    result = supernet("latency", "fit", networks, *options, "--json")
    assert result.code == 0, result.stderr
    assert result.json["held_out"]["networks"] == 24
    assert result.json["held_out"]["mape"] < 2
    table = LatencyTable.load(Path("own.json"))
    assert (table.target, table.device["processor"]) == ("own", "a phone")
    checked = supernet(
        "latency", "check", "own.json", "--networks", networks, "--column", "ms", "--json"
    )
    held_out, file = checked.json["checks"]
    assert held_out["networks"] == 24
    assert file["networks"] == 120
    assert file["mape"] < 2
    assert "networks.csv, ms" in checked.stdout
    arguments = ["check", "own.json", "--networks", networks, "--column", "ms"]
    failed = supernet("latency", *arguments, "--max-mape", "0.000001")
    assert failed.code == 1
    assert "above --max-mape 1e-06" in failed.stderr
    shown = supernet("latency", "show", "own.json")
    assert "only whole networks were measured" in shown.stdout


def test_a_throughput_is_fitted_and_what_was_not_measured_left_out(supernet: Command):
    space = load_space("demo")
    networks = write_networks(space, 100)
    lines = [line.split(",") for line in networks.read_text().splitlines()]
    rates = [f"{path},{2000 / float(ms):.9g}" for path, ms in lines[1:]]
    rates[7] = lines[8][0] + ","
    networks.write_text("\n".join(["subnet,rate", *rates]) + "\n")
    options = ["--space", "demo", "--column", "rate", "-o", "own.json", "--batch", "2"]
    error = one_line(supernet("latency", "fit", networks, *options))
    assert "larger networks are faster" in error
    assert "--unit images/s" in error
    options += ["--unit", "images/s"]
    result = supernet("latency", "fit", networks, *options, "--json")
    assert result.code == 0, result.stderr
    assert "99 of space demo (1 more were not measured)" in result.stdout
    assert (result.json["networks"], result.json["left_out"]) == (99, 1)
    assert result.json["held_out"]["mape"] < 2
    table = LatencyTable.load(Path("own.json"))
    assert table.batch == 2
    # two images at a time, 2000 / ms of them a second
    predicted = table.predict_ms(space, sample(space, 100, np.random.default_rng(0))).ms
    truth = np.array([float(ms) for _, ms in lines[1:]])
    assert np.abs(predicted / truth - 1).mean() < 0.02
    checked = supernet(
        "latency",
        "check",
        "own.json",
        "--networks",
        networks,
        *options[2:4],
        *options[-2:],
        "--json",
    )
    assert checked.json["checks"][1]["mape"] < 2
    assert "networks.csv, rate, 1 not measured" in checked.stdout


def test_ten_networks_are_enough_with_known_targets(supernet: Command):
    networks = write_networks(load_space("demo"), 10)
    options = ["--space", "demo", "--column", "ms", "--from", "shipped", "--json"]
    result = supernet("latency", "fit", networks, *options)
    assert result.code == 0, result.stderr
    assert result.json["held_out"]["networks"] == 10
    assert result.json["held_out"]["mape"] < 1
    assert result.json["target"] == "ms"
    assert load_target("ms").model.source.startswith("mixed from: 450 rows")
    assert "ms" in {target["name"] for target in supernet("targets", "--json").json["targets"]}


def test_a_refused_fit_keeps_what_was_there(supernet: Command):
    networks = write_networks(load_space("demo"), 10)
    precious = '{"format": "supernet.latency_table", "precious": true}'
    Path("own.json").write_text(precious)
    options = ["--space", "demo", "--column", "ms", "-o", "own.json"]
    assert "needs at least 60, found 10" in one_line(supernet("latency", "fit", networks, *options))
    nan = supernet(
        "latency", "fit", write_networks(load_space("demo"), 60), *options, "--hold-out=nan"
    )
    assert "'--hold-out': 'nan' is not a finite number" in one_line(nan)
    networks = write_networks(load_space("demo"), 10)
    networks.write_text(networks.read_text().replace(",", ",-", 3))
    options += ["--from", "shipped"]
    error = one_line(supernet("latency", "fit", networks, *options))
    assert "a latency must be above 0" in error or "no column" in error
    assert Path("own.json").read_text() == precious


def test_a_target_whose_error_is_not_known_says_so(supernet: Command):
    result = supernet("latency", "check", "mobile_cpu", "--json")
    assert result.code == 0
    assert "is not known" in result.stdout
    assert result.json["checks"] == []


def test_a_name_that_is_taken_is_refused_before_measuring(
    supernet: Command, monkeypatch: pytest.MonkeyPatch
):
    def measured(*_: object, **__: object) -> None:
        raise AssertionError("measured first")

    monkeypatch.setattr("supernet.latency.measure_here", measured)
    result = supernet("latency", "measure", "--space", "demo", "--name", "mobile_cpu")
    assert result.code == 2
    assert "'mobile_cpu' is a shipped target (give another --name)" in result.stderr


def test_a_table_of_another_machine_is_not_measured_here(supernet: Command):
    result = supernet("latency", "check", "mobile_cpu", "--measure", "2", "--space", "demo")
    assert "target 'mobile_cpu' is of Galaxy Note10 CPU" in one_line(result)


def test_new_networks_are_measured_on_the_tables_machine(
    supernet: Command, tiny_space: Space, monkeypatch: pytest.MonkeyPatch
):
    from supernet.latency import Protocol, Timing, describe_device

    def measure(models: list[bytes], protocol: Protocol, **_: Any) -> list[Timing]:
        return [Timing(1.0, 0.0) for _ in models]

    monkeypatch.setattr("supernet.latency.drift.measure", measure)
    model = load_target("mobile_cpu").model
    table = LatencyTable(target="here", device=describe_device(), rows={}, model=model)
    table.save(Path("here.json"))
    save_space(tiny_space, Path("own.yaml"))
    options = ["--measure", "5", "--space", "own.yaml", "--json"]
    result = supernet("latency", "check", "here.json", *options)
    assert result.code == 0, result.stderr
    assert [check["networks"] for check in result.json["checks"]] == [5]


# ------------------------------------------------------------------ import

TABLE = "Conv-input:8x8x3-output:4x4x8:\n  mean: 0.5\n"


def test_both_ways_to_import_a_table_are_the_same(supernet: Command):
    Path("phone.yaml").write_text(TABLE)
    one = supernet("latency", "import", "ofa", "phone.yaml", "--name", "one", "--json")
    assert one.code == 0, one.stderr
    two = supernet("import", "ofa", "--latency-table", "phone.yaml", "--name", "two", "--json")
    files = [json.loads(Path(r.json["table"]).read_text()) | {"target": ""} for r in (one, two)]
    assert files[0] == files[1]
    three = supernet("latency", "import", "ofa", "--latency-table", "phone.yaml", "--json")
    assert three.json["target"] == "phone"


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "ofa", "phone.yaml", "--name", "mobile_cpu"),
        ("fit", "mine.csv", "--space", "mobilenet_v3", "--column", "mobile_cpu"),
    ],
)
def test_no_table_of_ones_own_hides_a_shipped_target(supernet: Command, arguments: tuple[str, ...]):
    Path("phone.yaml").write_text(TABLE)
    assert "mobile_cpu" in one_line(supernet("latency", *arguments))
    assert not (own_tables() / "mobile_cpu.json").exists()


# ------------------------------------------------------------------ search


def test_a_search_for_a_shipped_target_works_out_of_the_box(in_trained: Command):
    options = ["--target", "mobile_cpu", "--pairs", 12, "--budget", 1000, "--json"]
    result = in_trained("search", *options)
    assert result.code == 0, result.stderr
    predicted = result.json["predicted"]
    assert predicted["target"] == "mobile_cpu"
    assert "latency_low_ms" not in predicted  # far smaller than all that was measured
    assert "error not known" in result.stdout
    assert Path(result.json["files"]["report"]).is_file()
