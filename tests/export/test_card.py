"""What a model card says of its files."""

from types import SimpleNamespace
from typing import Any

from supernet.export.card import _files

FACTS: dict[str, Any] = {
    "precision": "fp32", "bytes": 1_000_000, "notes": [], "agreement": 100.0,
    "max_abs_diff": 1e-6, "latency_ms": 1.0,
}  # fmt: skip


def test_torch_is_told_for_each_number_of_images() -> None:
    """ONNX files are checked on all test images, others on some."""
    files = {
        "model.mlpackage": {"precision": "fp32", "bytes": 1, "notes": []},
        "model.onnx": {**FACTS, "images": 2000, "top1": 90.0, "torch_top1": 90.0},
        "model.pt2": {**FACTS, "images": 1000, "top1": 88.0, "torch_top1": 88.0},
    }
    card: Any = SimpleNamespace(files=files, preprocessing={"output": "logits"})
    assert "in torch: 90.00 % of 2000, 88.00 % of 1000 test images" in _files(card)
    card.files = {"model.mlpackage": files["model.mlpackage"]}
    assert "in torch:" not in _files(card)


def test_what_is_off_is_called_by_what_the_files_give() -> None:
    files = {"model.onnx": {**FACTS, "images": 2000, "top1": 90.0, "torch_top1": 90.0}}
    for output, head in (("logits", "| logit off by |"), ("probabilities", "| probability off by")):
        card: Any = SimpleNamespace(files=files, preprocessing={"output": output})
        assert head in _files(card)
