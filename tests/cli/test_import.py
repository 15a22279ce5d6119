"""`supernet import ofa`: what others published becomes ours, whole or not at all.

The published files are their authors' and not part of this project: the tests look for
them as `tests/space/test_net_config.py` does, and are skipped where they are not.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from supernet.cli.main import main
from supernet.errors import ConfigError, StorageError
from supernet.files import sha256
from supernet.latency import LatencyTable, load_target
from supernet.models import Supernet, extract
from supernet.predict import MLPPredictor
from supernet.runs import Run, find_run
from supernet.space import (
    SubnetFile,
    check_operators,
    count_subnets,
    load_space,
    operators,
    smallest,
    total_params,
)
from supernet.workflow import importing
from supernet.workflow.importing import import_subnet
from tests.published import PUBLISHED, needs

Command = Callable[..., Any]
State = dict[str, torch.Tensor]

pytestmark = pytest.mark.cli

needs_files = needs()


def one_line(result: Any, code: int = 2) -> str:
    """The error of a command that was refused."""
    lines: list[str] = [
        line for line in result.stderr.splitlines() if not line.startswith("downloading")
    ]
    assert result.code == code, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert lines[0].isprintable()
    return lines[0]


@pytest.fixture
def ours(tiny_yaml: Path) -> Supernet:
    torch.manual_seed(0)
    return Supernet(load_space(tiny_yaml / "tiny.yaml"), num_classes=4)


@pytest.fixture
def state(ours: Supernet, as_ofa: Callable[[Supernet], State]) -> State:
    return as_ofa(ours)


@pytest.fixture
def imported(supernet: Command, state: State) -> Run:
    """A run made of a checkpoint, in the working directory."""
    torch.save(state, "tiny.pth")
    result = supernet("import", "ofa", "--checkpoint", "tiny.pth", "--space", "tiny.yaml")
    assert result.code == 0, result.stderr
    return find_run(None)


# checkpoints


def test_a_checkpoint_becomes_a_run(supernet: Command, state: State, ours: Supernet):
    torch.save({"state_dict": state}, "tiny.pth")
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml", "--run", "here", "--json"]
    result = supernet("import", "ofa", *options)
    assert result.code == 0, result.stderr
    assert result.json == {"run": "here"}
    assert "next: supernet search --run here" in result.stdout
    run = find_run(Path("here"))
    assert run.config().imported == {"source": "tiny.pth", "sha256": sha256(Path("tiny.pth"))}
    assert run.config().classes == ("0", "1", "2", "3")
    assert run.metrics() == []
    assert run.space() == ours.space
    found = run.supernet().state_dict()
    assert all((value == found[name]).all() for name, value in ours.state_dict().items())
    with pytest.raises(ConfigError, match="imported without images"):
        run.dataset()


def spoilt(state: State, kind: str) -> bytes:
    """The bytes of a file that must be refused."""
    if kind == "html":
        return b"<!DOCTYPE html>"
    if kind == "code":
        state |= {"evil": Touch(Path("owned"))}  # type: ignore[dict-item]  # the point of it
    if kind == "nan":
        state["first_conv.conv.weight"][0, 0, 0, 0] = torch.nan
    if kind == "another":
        state["blocks.1.conv.depth_conv.conv.conv.weight"] = torch.zeros(1)
    torch.save(state, "whole.pth")
    content = Path("whole.pth").read_bytes()
    Path("whole.pth").unlink()
    return content[: len(content) // 2] if kind == "truncated" else content


class Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


REFUSED = {
    "html": "not a checkpoint that is safe to load",
    "code": "it is damaged, or holds more than tensors",
    "truncated": "not a checkpoint that is safe to load",
    "nan": "slots.stem.conv.weight holds values that are not finite",
    "another": "not of space 'tiny' with 4 classes: 1 tensors differ",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_checkpoint_leaves_no_run(supernet: Command, state: State, kind: str):
    Path("bad.pth").write_bytes(spoilt(state, kind))
    before = set(Path().rglob("*"))
    result = supernet("import", "ofa", "--checkpoint", "bad.pth", "--space", "tiny.yaml")
    assert REFUSED[kind] in one_line(result)
    assert set(Path().rglob("*")) == before


def test_a_checkpoint_of_no_known_space_says_how_to_name_it(supernet: Command, state: State):
    torch.save(state, "tiny.pth")
    error = one_line(supernet("import", "ofa", "--checkpoint", "tiny.pth"))
    assert "fit none of the spaces mobilenet_v3" in error
    assert "--space" in error
    assert not Path("runs").exists()


def test_a_run_is_never_written_over(supernet: Command, imported: Run):
    before = {p: p.read_bytes() for p in imported.folder.rglob("*") if p.is_file()}
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml", "--run", imported.folder]
    assert "holds a run already" in one_line(supernet("import", "ofa", *options))
    assert before == {p: p.read_bytes() for p in imported.folder.rglob("*") if p.is_file()}


def test_a_full_disk_leaves_nothing_that_looks_like_a_run(
    supernet: Command, state: State, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, weights: object) -> None:
        raise StorageError(f"cannot write {path}", hint=os.strerror(errno.ENOSPC))

    monkeypatch.setattr(importing, "save_weights", refuse)
    torch.save(state, "tiny.pth")
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml"]
    assert "cannot write" in one_line(supernet("import", "ofa", *options), code=1)
    with pytest.raises(ConfigError, match="no run below"):
        find_run(None)


def test_images_of_other_classes_are_refused_before_anything_is_written(
    supernet: Command, state: State
):
    torch.save(state, "tiny.pth")
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml", "--data", "fashion_mnist"]
    assert "has 10 classes, the network 4" in one_line(supernet("import", "ofa", *options))
    assert not Path("runs").exists()


# networks


def round_trip(path: Path) -> None:
    before = path.read_bytes()
    SubnetFile.load(path).save(path)
    assert path.read_bytes() == before


@needs_files
def test_every_specialized_network_is_a_subnet_of_a_shipped_space(tmp_path: Path):
    folders = sorted((PUBLISHED / "ofa" / "specialized").iterdir())
    assert len(folders) == 32
    for folder in folders:
        found = import_subnet(str(folder), output=tmp_path / "subnet.json")
        phone = not folder.name.startswith(("1080ti", "v100", "tx2", "cpu"))
        assert found.space.name == ("mobilenet_v3" if phone else "proxyless")
        assert found.space_path is None
        round_trip(found.path)
        assert list(check_operators(found.space, found.file)) == list(found.file.operators)


@needs_files
@pytest.mark.parametrize("name", ["mobile", "mobile_14", "gpu", "cpu"])
def test_proxylessnas_own_networks_get_a_space_of_their_own(supernet: Command, name: str):
    source = PUBLISHED / "proxylessnas" / f"proxyless_{name}.config"
    result = supernet("import", "ofa", "--subnet", source, "--json")
    assert result.code == 0, result.stderr
    own = f"proxyless_{name}"
    files = {"subnet": f"{own}.json", "space_file": f"{own}.space.yaml"}
    assert result.json == {"space": own, **files}
    round_trip(Path(f"proxyless_{name}.json"))
    space = load_space(f"proxyless_{name}.space.yaml")
    assert (space.name, space.bn_eps) == (f"proxyless_{name}", 1e-3)
    assert count_subnets(space) == 1
    file = SubnetFile.load(Path(f"proxyless_{name}.json"))
    assert operators(space, file.subnet) == list(file.operators)
    network = extract(Supernet(space), file.subnet)
    assert sum(values.numel() for values in network.parameters()) == total_params(file.operators)


CONFIG: dict[str, Any] = {
    "name": "ProxylessNASNets",
    "bn": {"eps": 1e-3},
    "first_conv": {"in_channels": 3, "out_channels": 8, "kernel_size": 3, "stride": 2},
    "blocks": [
        {
            "conv": {"name": "MBConvLayer", "in_channels": 8, "out_channels": 8, "act_func": act},
            "shortcut": None,
        }
        for act in ("relu6", "relu")
    ],
    "feature_mix_layer": {"in_channels": 8, "out_channels": 16},
    "classifier": {"in_features": 16, "out_features": 10},
}


def put(folder: Path, size: int | None = 32, name: str = "net.config") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(CONFIG))
    if size:
        (folder / "run.config").write_text(json.dumps({"image_size": size}))
    return folder


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [(32, [], 32), (None, [], 224), (32, ["--resolution", "40"], 40)],
)
def test_the_input_size_is_that_of_the_run_config(
    supernet: Command, size: int | None, options: list[str], expected: int
):
    put(Path("net"), size)
    assert supernet("import", "ofa", "--subnet", "net", *options).code == 0
    assert SubnetFile.load(Path("net.json")).subnet.resolution == expected


@pytest.mark.parametrize("end", ["", "#sha256=" + 8 * "0"])
def test_a_url_brings_its_neighbour(supernet: Command, tmp_path: Path, end: str):
    folder = put(tmp_path / "net 1", 48)
    end = end and f"#sha256={sha256(folder / 'net.config')}"
    assert supernet("import", "ofa", "--subnet", f"{folder.as_uri()}/net.config{end}").code == 0
    assert SubnetFile.load(Path("net-201.json")).subnet.resolution == 48


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/../a", "a"),
        ("a/./net.config", "network"),
        ("..", "network"),
        (".", "network"),
        ("a b\n\x1b[1m", "a-b---1m"),
        ("-o", "o"),
        (".hidden", "hidden"),
        ("___", "network"),
        ("n" * 250, "n" * 80),
        ("proxyless", "proxyless"),
    ],
)
def test_the_name_of_a_network_leads_nowhere(
    supernet: Command, tmp_path: Path, monkeypatch, source: str, name: str
):
    """Not even that of a shipped space."""
    Path("work").mkdir()
    put(Path("work") / source.removesuffix("/net.config"))
    monkeypatch.chdir("work")
    result = supernet("import", "ofa", f"--subnet={source}", "--json")
    assert result.code == 0, result.stderr
    assert (result.json["subnet"], result.json["space"]) == (f"{name}.json", name)
    round_trip(Path(f"{name}.json"))
    assert count_subnets(load_space(f"{name}.space.yaml")) == 1
    assert not list(tmp_path.glob("*.json"))


def test_a_named_space_must_have_it(supernet: Command):
    put(Path("net"))
    before = set(Path().rglob("*"))
    error = one_line(supernet("import", "ofa", "--subnet", "net", "--space", "demo"))
    assert "net: at 32 px not a subnet of space 'demo'" in error
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda config: config["blocks"].clear(), "need 1 to 128 blocks"),
        (lambda config: config["blocks"].extend(config["blocks"] * 80), "need 1 to 128 blocks"),
        (lambda config: config["classifier"].update(out_features=1), "num_classes: choices must"),
        (lambda config: config["classifier"].update(in_features=8), "cannot follow"),
        (lambda config: config["first_conv"].update(in_channels=65), "in_channels: choices must"),
        (lambda config: config["first_conv"].update(stride=9), "stride: choices must be from 1"),
        (lambda config: config["bn"].update(eps=-1), "bn_eps: must be between 0 and 1"),
        (lambda config: config["bn"].update(eps="1e-3"), "Expected `float`"),
        (lambda config: config.update(name="Evil\nNet"), r"Invalid enum value 'Evil\nNet'"),
    ],
)
def test_a_network_of_no_space_is_refused(supernet: Command, edit: Any, text: str):
    config = json.loads(json.dumps(CONFIG))
    edit(config)
    Path("net.config").write_text(json.dumps(config))
    before = set(Path().rglob("*"))
    assert text in one_line(supernet("import", "ofa", "--subnet", "net.config"))
    assert set(Path().rglob("*")) == before


def tiny_config(kernel: int = 5) -> dict[str, Any]:
    """A subnet of the space `tiny`."""
    config: dict[str, Any] = json.loads(json.dumps(CONFIG)) | {"blocks": []}
    for act, width in (("relu", 8), ("relu", 8)):
        first = not config["blocks"]
        conv = {"name": "MBConvLayer", "in_channels": 8, "out_channels": width, "act_func": act}
        conv |= {"kernel_size": kernel, "expand_ratio": 2, "stride": 1 + first, "use_se": True}
        config["blocks"].append({"conv": conv, "shortcut": None})
    config["first_conv"]["act_func"] = config["feature_mix_layer"]["act_func"] = "relu"
    return config


def test_a_network_of_a_run_points_to_its_weights(supernet: Command, imported: Run):
    Path("net.config").write_text(json.dumps(tiny_config()))
    options = ["--subnet", "net.config", "--run", imported.folder, "--resolution", "16"]
    result = supernet("import", "ofa", *options, "--json")
    assert result.code == 0, result.stderr
    path = Path(result.json["subnet"])
    assert path == imported.folder / "search" / "imported" / "subnet.json"
    round_trip(path)
    file = SubnetFile.load(path)
    assert file.checkpoint is not None
    assert (path.parent / file.checkpoint["path"]).resolve() == imported.weights().resolve()
    assert file.checkpoint["sha256"] == sha256(imported.weights())
    assert file.operators[-1].out_channels == 4  # the run's classes, not the file's 10
    extract(imported.supernet(), file.subnet)


def test_a_network_of_another_space_does_not_go_into_a_run(supernet: Command, imported: Run):
    Path("net.config").write_text(json.dumps(tiny_config(kernel=7)))
    options = ["--subnet", "net.config", "--run", imported.folder, "--resolution", "16"]
    error = one_line(supernet("import", "ofa", *options))
    assert "net.config: at 16 px not a subnet of space 'tiny'" in error
    error = one_line(supernet("import", "ofa", *options, "--space", "demo"))
    assert "its space is 'tiny', not 'demo'" in error
    assert not (imported.folder / "search").exists()


# predictors


def predictor_state(width: int) -> State:
    return {"0.weight": torch.ones(2, width), "0.bias": torch.ones(2), "2.weight": torch.ones(1, 2)}


# 2 blocks x (2 kernels + 2 expand ratios), and the tutorial's 8 input sizes
WIDTH = 2 * (2 + 2) + 8


def test_a_predictor_goes_into_its_run(supernet: Command, imported: Run):
    torch.save(predictor_state(WIDTH), "p.pth")
    result = supernet("import", "ofa", "--accuracy-predictor", "p.pth", "--json")
    assert result.code == 0, result.stderr
    assert result.json == {"predictor": str(imported.imported_predictor)}
    found = MLPPredictor.load(imported.imported_predictor, imported.space())
    assert found.source == {"source": "p.pth", "sha256": sha256(Path("p.pth"))}
    assert found.sizes == (160, 176, 192, 208, 224)


@pytest.mark.parametrize(
    "form", [torch.Tensor.double, torch.Tensor.bfloat16, torch.Tensor.long, torch.nn.Parameter]
)
def test_a_predictor_in_any_form_may_stand_alone(supernet: Command, form: Any):
    torch.save({name: form(value) for name, value in predictor_state(WIDTH).items()}, "p.pth")
    options = ["--accuracy-predictor", "p.pth", "--space", "tiny.yaml", "-o", "out/p.json"]
    result = supernet("import", "ofa", *options)
    assert result.code == 0, result.stderr
    space = load_space("tiny.yaml")
    # one kernel, one expand ratio, one size and the bias, twice
    assert MLPPredictor.load(Path("out/p.json"), space).mean(smallest(space)) == [800]


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda state: state.clear(), "expected named tensors"),
        (lambda state: state.pop("0.weight"), "reads 2 inputs"),
        (lambda state: state.update({"0.weight": torch.ones(2, 3)}), "reads 3 inputs"),
        (lambda state: state.update({"0.bias": torch.tensor([1, torch.inf])}), "must be finite"),
        (lambda state: state.update({"0.bias": torch.ones(2) * 1j}), "not a dense tensor"),
        (lambda state: state.update({"0.weight": torch.ones(1, 1).expand(10**6, WIDTH)}), "dense"),
        (lambda state: state.update({"base_acc": torch.ones(3)}), "base_acc: expected one value"),
        (lambda state: state.update({"a\nb": Touch(Path("owned"))}), "holds more than tensors"),
    ],
)
def test_a_refused_predictor_leaves_the_run_as_it_was(
    supernet: Command, imported: Run, edit: Any, text: str
):
    state: dict[str, Any] = dict(predictor_state(WIDTH))
    edit(state)
    torch.save(state, "p.pth")
    before = set(Path().rglob("*"))
    assert text in one_line(supernet("import", "ofa", "--accuracy-predictor", "p.pth"))
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "no run below"),
        (["--space", "tiny.yaml"], "no run below"),
        (["-o", "p.json"], "needs the supernet that it predicts"),
        (["-o", "p.safetensors", "--space", "tiny.yaml"], "must end in .json"),
        (["-o", "p.json", "--space", "tiny.yaml", "--sizes", "1,2"], "not 2"),
        (["-o", "p.json", "--space", "tiny.yaml", "--sizes", "a"], "--sizes: expected numbers"),
        (["-o", "p.json", "--space", "tiny.yaml", "--sizes", "9" * 5000], "--sizes: expected"),
        (["-o", "p.json", "--space", "demo"], "reads 16 inputs; space 'demo' has"),
    ],
)
def test_where_a_predictor_goes_must_be_known(supernet: Command, options: list[str], text: str):
    torch.save(predictor_state(WIDTH), "p.pth")
    before = set(Path().rglob("*"))
    assert text in one_line(supernet("import", "ofa", "--accuracy-predictor", "p.pth", *options))
    assert set(Path().rglob("*")) == before


# latency tables

TABLE = "Conv-input:8x8x3-output:4x4x8:\n  mean: 0.5\n"


def own_files(folder: Path = Path("home")) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_tables_become_one_target(supernet: Command):
    Path("phone").mkdir()
    for size in (8, 16):
        text = TABLE.replace("4x4", f"{size // 2}x{size // 2}").replace("8x8", f"{size}x{size}")
        Path(f"phone/{size}.yaml").write_text(text)
    result = supernet("import", "ofa", "--latency-table", "phone/", "--json")
    assert result.code == 0, result.stderr
    assert result.json["target"] == "phone"
    assert own_files() == ["phone.json"]
    table = load_target("phone")
    assert [operator.height for operator in table.rows] == [16, 8]
    assert LatencyTable.load(Path(result.json["table"])).rows == table.rows
    assert "phone" in supernet("targets").stdout


def test_several_files_and_urls_make_one_target(supernet: Command, tmp_path: Path):
    Path("a.yaml").write_text(TABLE)
    Path("b.yaml").write_text(TABLE.replace("8:", "16:"))
    url = (tmp_path / "b.yaml").resolve().as_uri()
    options = ["--latency-table", "a.yaml", "--latency-table", url, "--name", "own-1"]
    assert supernet("import", "ofa", *options).code == 0
    assert len(load_target("own-1").rows) == 2


@pytest.mark.parametrize(
    "name", ["this_machine", "../evil", "a/b", "..", "a.b", "a b", "a\n", "n" * 300, "a\0"]
)
def test_a_name_that_cannot_be_a_targets_is_refused(supernet: Command, name: str):
    Path("t.yaml").write_text(TABLE)
    options = ["--latency-table", "t.yaml", "--name", name]
    assert "name: must be up to 80 letters" in one_line(supernet("import", "ofa", *options))
    assert own_files() == []


def test_one_refused_table_leaves_no_target(supernet: Command):
    Path("a.yaml").write_text(TABLE)
    Path("b.yaml").write_text(TABLE + "junk\n")
    options = ["--latency-table", "a.yaml", "--latency-table", "b.yaml"]
    assert "b.yaml, line 3: not a key" in one_line(supernet("import", "ofa", *options))
    assert own_files() == []


# all of it


def test_options_may_be_combined(supernet: Command, state: State):
    torch.save(state, "tiny.pth")
    torch.save(predictor_state(WIDTH), "p.pth")
    Path("net.config").write_text(json.dumps(tiny_config()))
    Path("phone.yaml").write_text(TABLE)
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml", "--run", "here", "--json"]
    options += ["--accuracy-predictor", "p.pth", "--latency-table", "phone.yaml"]
    options += ["--subnet", "net.config", "--resolution", "16", "-o", "own.json"]
    result = supernet("import", "ofa", *options)
    assert result.code == 0, result.stderr
    assert result.json["subnet"] == "own.json"
    assert result.json["predictor"] == "here/predictor/imported.json"
    file = SubnetFile.load(Path("own.json"))
    assert file.checkpoint is not None
    assert file.checkpoint["path"] == "here/checkpoints/step-0/supernet.safetensors"


def test_what_was_imported_before_an_error_stays_and_is_told(supernet: Command, state: State):
    torch.save(state, "tiny.pth")
    options = ["--checkpoint", "tiny.pth", "--space", "tiny.yaml", "--run", "here"]
    result = supernet("import", "ofa", *options, "--latency-table", "nowhere")
    assert "nowhere: no such file" in one_line(result)
    assert "here" in result.stdout
    assert find_run(Path("here")).weights().is_file()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "nothing to import was named"),
        (["--checkpoint", "nowhere.pth"], "nowhere.pth: no such file"),
        (["--checkpoint", "."], "not a checkpoint that is safe to load"),
        (["--subnet", "nowhere"], "nowhere: no such file"),
        (["--subnet", "."], "net.config: no such file"),
        (["--subnet", "http://["], "not a URL"),
        (["--latency-table", "nowhere"], "nowhere: no such file"),
        (["--latency-table", "home"], "home: no such file"),
        (["--accuracy-predictor", "nowhere", "--run", "nowhere"], "not a run"),
        (["--subnet", "a", "--width", "1.2"], "--width is of --space"),
        (["--subnet", "a", "--data", "a"], "--data is of --checkpoint"),
        (["--subnet", "a", "--sizes", "8"], "--sizes is of --accuracy-predictor"),
        (["--subnet", "a", "--name", "a"], "--name is of --latency-table"),
        (["--latency-table", "a", "--resolution", "8"], "--resolution is of --subnet"),
        (["--latency-table", "a", "-o", "a"], "--output is of --subnet"),
        (["--checkpoint", "a", "--accuracy-predictor", "a", "-o", "a"], "--output is of --subnet"),
        (["--subnet", "a", "--resolution", "7"], "not in the range 8<=x<=4096"),
        (["--subnet", "a", "--space", "mobilenet_v3", "--width", "9"], "has no width 9.0; known"),
        (["--subnet", "a", "--space", "dem"], "did you mean 'demo'?"),
    ],
)
def test_what_is_missing_or_misused_is_named(supernet: Command, options: list[str], text: str):
    before = set(Path().rglob("*"))
    assert text in one_line(supernet("import", "ofa", *options))
    assert set(Path().rglob("*")) == before


def test_the_options_are_these() -> None:
    """A new one is a decision: it is added here and in docs/import.md."""
    group: Any = main.get_command(click.Context(main), "import")
    options = {name for option in group.commands["ofa"].params for name in option.opts}
    assert options == {
        "--checkpoint", "--subnet", "--accuracy-predictor", "--latency-table", "--space",
        "--width", "--data", "--resolution", "--sizes", "--name", "-o", "--output", "--run",
        "--run-folder", "--json", "--debug",
    }  # fmt: skip
