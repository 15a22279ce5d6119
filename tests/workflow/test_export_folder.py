"""A folder that is written while processes are killed."""

import os
from pathlib import Path

import pytest

from supernet.workflow.export_folder import SUBNET_FILE, check_folder, staged


class Killed(BaseException):
    """Nothing that code here would catch."""


@pytest.mark.parametrize("number", range(4))
def test_a_folder_that_is_half_moved_is_known_for_an_export(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
            for name in ("a.onnx", "b.onnx", "c.txt", SUBNET_FILE, "d.onnx"):
                (stage / name).write_text("new")

    with pytest.raises(Killed):
        export()
    assert moved[0] == SUBNET_FILE
    check_folder(folder)


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
