"""What stays of an earlier export, and what a new one replaces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.data import Dataset, ImageSet, Views
from supernet.space import Space, SubnetFile, decode, smallest
from supernet.workflow.export_folder import SUBNET_FILE, Earlier, images_told

ENDS = {"pixels": False, "output": "logits", "data": "photos"}
FACTS: dict[str, Any] = {
    "precision": "fp32", "bytes": 10, "notes": [], "lowest_onnxruntime": "1.14", "images": 40,
    "top1": 90.0, "torch_top1": 90.0, "agreement": 100.0, "max_abs_diff": 0.0, **ENDS,
}  # fmt: skip


def earlier(folder: Path, space: Space, files: Any, data: str = "photos") -> Earlier:
    """Of a folder whose document tells these files; its ONNX file is there."""
    file = SubnetFile.of(space, decode(space, smallest(space))[0], checkpoint={"sha256": "a"})
    file.with_measured(files=files).save(folder / SUBNET_FILE)
    (folder / "model.onnx").write_bytes(b"")
    return Earlier.of(folder, file, "a", {**ENDS, "data": data})


def test_files_of_other_images_are_replaced(tmp_path: Path, tiny_space: Space) -> None:
    found = earlier(tmp_path, tiny_space, {"model.onnx": FACTS})
    assert [*found.kept] == ["model.onnx"]
    found = earlier(tmp_path, tiny_space, {"model.onnx": FACTS}, data="drawings")
    assert not found.kept
    assert found.stale == (tmp_path / "model.onnx",)
    untold = {key: value for key, value in FACTS.items() if key != "data"}
    assert earlier(tmp_path, tiny_space, {"model.onnx": untold}).kept


@pytest.mark.parametrize(
    "files",
    [
        {"model.onnx": {}},
        {"model.onnx": "gone"},
        {"model.onnx": FACTS | {"notes": None}},
        {"model.onnx": FACTS | {"latency_ms": "fast"}},
        {"model.onnx": FACTS | {"sensitivity": "a", "weights_bits": 7, "calibrator": "minmax"}},
        {"model.onnx": FACTS | {"sensitivity": {"a": "b"}, "weights_bits": 7, "calibrator": "a"}},
        {"model.onnx": {k: v for k, v in FACTS.items() if k != "lowest_onnxruntime"}},
        {"model.onnx": {k: v for k, v in FACTS.items() if k != "agreement"}},
    ],
)
def test_files_that_no_card_can_tell_of_are_replaced(
    tmp_path: Path, tiny_space: Space, files: Any
) -> None:
    found = earlier(tmp_path, tiny_space, files)
    assert not found.kept
    assert found.stale == (tmp_path / "model.onnx",)


def test_a_document_that_tells_no_files_is_no_reason_to_stop(
    tmp_path: Path, tiny_space: Space
) -> None:
    assert earlier(tmp_path, tiny_space, ["model.onnx"]) == Earlier(kept={})


def test_images_that_cannot_change_are_told_by_their_name() -> None:
    some = ImageSet(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64))
    views = Views(mean=(0.5,), std=(0.5,), frame=1.0)
    dataset = Dataset(
        name="demo", classes=("a", "b"), train=some, holdout=some, test=some, views=views
    )
    assert images_told(dataset) == "demo"
