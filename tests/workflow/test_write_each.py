"""Several files of one export, some of which cannot be written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from supernet.errors import ExportError, FileFormatError, MissingPackageError, SupernetError
from supernet.workflow.export_folder import write_each


def good(path: Path) -> Callable[[], int]:
    return lambda: path.write_text("good")


def bad(path: Path, error: BaseException) -> Callable[[], int]:
    def write() -> int:
        path.mkdir()
        (path / "half").write_text("written")
        raise error

    return write


@pytest.mark.parametrize("order", [("a", "b", "c"), ("b", "a", "c"), ("c", "a", "b")])
def test_one_that_fails_is_named_and_the_others_are_kept(tmp_path: Path, order: tuple[str, ...]):
    every = {
        "a": good(tmp_path / "a"),
        "b": bad(tmp_path / "b", ExportError("no such operator")),
        "c": good(tmp_path / "c"),
    }
    written = write_each(tmp_path, {name: every[name] for name in order})
    assert [*written.files] == [name for name in order if name != "b"]
    assert written.failed == {"b": "no such operator"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


@pytest.mark.parametrize(
    "error",
    [
        MissingPackageError("int8 needs nncf", hint="pip install nncf"),  # of OpenVINO, for int8
        FileFormatError("ONNX Runtime refuses it", hint="give a lower --opset"),
    ],
)
def test_what_one_lacks_keeps_the_others(tmp_path: Path, error: SupernetError):
    wanted = {"a": good(tmp_path / "a"), "b": bad(tmp_path / "b", error)}
    written = write_each(tmp_path, wanted)
    assert [*written.files] == ["a"]
    assert written.failed == {"b": f"{error} ({error.hint})"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(type(error), match=str(error)):
        write_each(tmp_path, {"b": bad(tmp_path / "b", error)})


def test_where_none_can_be_written_the_first_reason_is_told(tmp_path: Path):
    wanted = {name: bad(tmp_path / name, ExportError(f"no {name}")) for name in ("a", "b")}
    with pytest.raises(ExportError, match="no a"):
        write_each(tmp_path, wanted)
    assert not [*tmp_path.iterdir()]


def test_an_interrupt_ends_it_and_keeps_what_is_there(tmp_path: Path):
    stop = bad(tmp_path / "b", KeyboardInterrupt())
    written = write_each(tmp_path, {"a": good(tmp_path / "a"), "b": stop, "c": stop})
    assert (written.interrupted, [*written.files], written.failed) == (True, ["a"], {})
    with pytest.raises(KeyboardInterrupt):
        write_each(tmp_path, {"b": stop, "a": good(tmp_path / "a")})
