"""A folder that is written while processes are killed, and holds files of the user's."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from supernet.export import Exporter
from supernet.export.contract import Precision

from supernet.errors import ConfigError, ExportError
from supernet.runs import Run
from supernet.space import Space, SubnetFile, decode, smallest
from supernet.workflow.bundle import Level, export_bundle
from supernet.workflow.export_folder import SUBNET_FILE, check_folder, staged
from supernet.workflow.exported import ExportRequest


class Killed(BaseException):
    """Nothing that code here would catch."""


NETWORKS = ("a.onnx", "b.onnx", "d.onnx")
DOCUMENTS: dict[str, dict[str, Any]] = {
    "subnet": {"measured": {"files": dict.fromkeys(NETWORKS, 0)}},
    "backbone": {"files": dict.fromkeys(NETWORKS, 0)},
    "bundle": {"levels": [{"name": "?"}, *({"file": name} for name in NETWORKS)]},
}


def tell(folder: Path, kind: str, **other: Any) -> Path:
    """Write the document of an export of this kind."""
    path = folder / f"{kind}.json"
    body = {"format": f"supernet.{kind}", "version": 1, **DOCUMENTS[kind], **other}
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("number", range(7))
def test_a_folder_that_is_half_moved_is_known_for_an_export(
    number: int, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its document is of the files that are there."""
    folder, plain, moved = tmp_path / "net", Path.replace, list[str]()

    def replace(self: Path, target: Path) -> Path:
        if self.parent.name.startswith(".net."):
            if len(moved) == number + 1:
                raise Killed
            moved.append(self.name)
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", replace)

    def export() -> None:
        with staged(folder) as stage:
            for name in ("README.md", "a.onnx", "b.onnx", "labels.txt", "a.json", "d.onnx"):
                (stage / name).write_text("new")
            tell(stage, kind)

    with pytest.raises(Killed) if number < 6 else contextlib.nullcontext():
        export()
    assert moved[0] == f"{kind}.json"
    check_folder(folder, f"{kind}.json")


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize(
    "told",
    [
        {"measured": {}, "files": {}, "levels": []},
        {"measured": {"files": ["README.md"]}, "files": "README.md", "levels": [1]},
        {"format": "supernet.settings"},
        {},  # copied out of an export
    ],
)
def test_a_document_makes_no_export_of_a_folder_of_others(
    kind: str, told: dict[str, Any], tmp_path: Path
) -> None:
    other = {key: value for key, value in told.items() if key in {*DOCUMENTS[kind], "format"}}
    path = tell(tmp_path, kind, **other)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match="holds other things than an export"):
        check_folder(tmp_path, path.name)
    (tmp_path / "README.md").unlink()
    with pytest.raises(ConfigError, match="holds other things than an export"):
        check_folder(tmp_path, path.name, given=path)
    tell(tmp_path, kind)
    (tmp_path / "README.md").write_text("of an export")
    (tmp_path / "b.onnx").write_text("of an export")
    check_folder(tmp_path, path.name, given=path)  # its own subnet, in one more format


def test_a_subnet_that_a_search_wrote_makes_no_export_of_its_folder(
    tmp_path: Path, tiny_space: Space
) -> None:
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    SubnetFile.of(tiny_space, subnet).save(tmp_path / SUBNET_FILE)
    with pytest.raises(ConfigError, match="holds other things than an export"):
        check_folder(tmp_path)


def test_a_bundle_replaces_no_subnet_that_lies_in_its_folder(
    tmp_path: Path, tiny_space: Space
) -> None:
    tell(tmp_path, "bundle", levels=[{"name": "a", "file": "a.onnx"}])
    (tmp_path / "a.onnx").write_text("of a bundle")
    file = SubnetFile.of(tiny_space, decode(tiny_space, smallest(tiny_space))[0])
    file.save(tmp_path / "mine.json")
    levels = [Level(name=name, file=file) for name in ("a", "mine")]
    with pytest.raises(ConfigError, match=r"mine\.json is there already, and of no bundle"):
        export_bundle(levels, Run(tmp_path / "run"), output=tmp_path)


def test_what_a_killed_process_left_is_removed_days_later(tmp_path: Path) -> None:
    old, young, others = (
        tmp_path / name
        for name in (".net.abcd_123.export", ".net.abcd_124.export", ".net.settings")
    )
    for path in (old, young, others):
        (path / "sub").mkdir(parents=True)
        os.utime(path, (0, 0) if path is not young else None)
    with staged(tmp_path / "net") as stage:
        (stage / SUBNET_FILE).write_text("new")
    assert not old.exists()
    assert young.is_dir()
    assert others.is_dir()


def test_code_of_the_users_is_not_replaced_by_ours(tmp_path: Path) -> None:
    tell(tmp_path, "subnet")
    (tmp_path / "model.py").write_text("my_own = 1\n")
    onnx, plain = (
        [made for made, _ in asked("torch-export", name)] for name in ("onnx", "pytorch")
    )
    check_folder(tmp_path, exporters=onnx)
    with pytest.raises(ExportError, match=r"model\.py: is there already"):
        check_folder(tmp_path, exporters=plain)


def test_an_opset_that_no_file_has_is_refused() -> None:
    assert asked("pytorch", "onnx", opset=20)
    with pytest.raises(ConfigError, match="opset: is of ONNX files, found pytorch, torch-export"):
        asked("pytorch", "torch-export", opset=20)


@pytest.mark.parametrize("opset", [-1, 13, 99])
def test_an_opset_that_is_not_written_is_refused_at_once(opset: int, tmp_path: Path) -> None:
    """Before there is anything to do: of a bundle, there is not even a run."""
    for formats in (("onnx",), ("pytorch", "onnx")):
        with pytest.raises(ConfigError, match=f"opset: must be from 18 to .*, found {opset}"):
            asked(*formats, opset=opset)
    request = ExportRequest(opset=opset)
    with pytest.raises(ConfigError, match=f"opset: must be from 18 to .*, found {opset}"):
        export_bundle([], Run(tmp_path / "run"), request, output=tmp_path / "net")


def test_bits_of_weights_that_no_file_has_are_refused() -> None:
    for wrong in ({"formats": ("onnx",)}, {"formats": ("litert",), "int8": True}):
        with pytest.raises(ConfigError, match="weights-bits: is of ONNX files in int8"):
            ExportRequest(weights_bits=7, **wrong).exporters()
    with pytest.raises(ConfigError, match="weights-bits: must be 7 or 8, found 4"):
        ExportRequest(weights_bits=4, int8=True).exporters()


def asked(*formats: str, opset: int = 0) -> list[tuple[Exporter, Precision]]:
    return ExportRequest(formats=formats, opset=opset).exporters()
