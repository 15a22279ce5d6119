"""What was measured of a file beside what was predicted of it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from supernet.export.card import _latency

from supernet.latency import HeldOut, LatencyTable, describe_device, drift
from supernet.latency.kit.protocol import Timing
from supernet.progress import silent
from supernet.space import Space, SubnetFile, decode, largest, load_space, operators, smallest
from supernet.workflow import backbone
from supernet.workflow.backbone_price import BackbonePrice
from supernet.workflow.export_latency import (
    check_latency,
    file_latencies,
    is_of_files,
    table_of_prediction,
)

TABLE = LatencyTable(
    target="here",
    device={"runtime": "onnxruntime"},
    rows={},
    held_out=HeldOut(predicted_ms=(1.0,) * 10, measured_ms=(1.01,) * 10, space="demo"),
)


@pytest.fixture(autouse=True)
def _of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever device a table is of."""
    monkeypatch.setattr("supernet.workflow.export_latency.backend_of", lambda _: object())


def file(**predicted: Any) -> SubnetFile:
    space = load_space("demo")
    subnet = decode(space, largest(space))[0]
    own = tuple(operators(space, subnet))
    return SubnetFile(subnet=subnet, operators=own, predicted=predicted)


@pytest.mark.parametrize(
    ("ends", "within"),
    [
        ({}, True),  # nothing is known: ten percent
        ({"latency_low_ms": 9.9, "latency_high_ms": 10.1}, False),
        ({"latency_low_ms": 8.0, "latency_high_ms": 12.0}, True),  # wider than held-out networks
    ],
)
def test_the_interval_is_that_of_the_prediction(ends: dict[str, float], within: bool) -> None:
    found = check_latency(file(latency_ms=10.0, **ends), TABLE, {"fp32": 10.5})
    assert found is not None
    assert (found.low_ms, found.high_ms) == (
        ends.get("latency_low_ms"),
        ends.get("latency_high_ms"),
    )
    assert found.within == within
    card: Any = SimpleNamespace(latency=asdict(found) | {"within": within})
    assert ("outside of the interval" in _latency(card)) is not within
    far = replace(found, low_ms=None, high_ms=None, measured_ms=11.5)
    card = SimpleNamespace(latency=asdict(far) | {"within": far.within})
    assert "far off.** No interval is known." in _latency(card)
    assert found.off == pytest.approx(5)


OTHERS = [
    {"threads": 2},
    {"batch": 8},
    {"device": {"runtime": "openvino"}},
    {"device": {"runtime": "onnxruntime", "gpu": "H200"}},
]


@pytest.mark.parametrize("other", OTHERS)
def test_a_prediction_of_other_settings_is_not_compared(other: dict[str, Any]) -> None:
    """Files are timed in ONNX Runtime on one thread, one image at a time."""
    table = replace(TABLE, **other)
    assert check_latency(file(latency_ms=10.0), table, {"fp32": 10.5}) is None


@pytest.mark.parametrize(
    ("other", "measured_ms"), [({}, 10.5), *((other, None) for other in OTHERS)]
)
def test_nor_is_that_of_a_backbone(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], measured_ms: float | None
) -> None:
    price = BackbonePrice(
        target="here", precision="fp32", predicted_ms=10.0, measured=1, interpolated=0, fitted=0
    )
    monkeypatch.setattr(backbone, "checked_space", lambda *_: None)
    monkeypatch.setattr(backbone, "price_of", lambda *_: price)
    monkeypatch.setattr(backbone, "measured_files", lambda paths, *_: dict.fromkeys(paths, 10.5))
    files: dict[str, dict[str, Any]] = {"model.onnx": {"format": "onnx"}}
    written: Any = SimpleNamespace(interrupted=False, files=files)
    job: Any = SimpleNamespace(operators=())
    run: Any = None
    table = replace(TABLE, **other)
    found = backbone._timed(Path(), written, table, job, file(), run, silent)
    assert found is not None
    assert (found.predicted_ms, found.measured_ms) == (10.0, measured_ms)
    assert files["model.onnx"]["latency_ms"] == 10.5


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"threads": 2}, False),
        ({"batch": 8}, False),
        ({"device": {"runtime": "torch"}}, False),
        ({"device": {"runtime": "onnxruntime", "gpu": "one"}}, False),
    ],
    ids=str,
)
def test_files_are_compared_with_predictions_of_one_image_on_one_thread(
    changed: dict[str, Any], same: bool, tiny_space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table is of this machine, and right about what it was measured for."""
    table = LatencyTable(**{"target": "t", "device": describe_device(), "rows": {}} | changed)
    monkeypatch.setattr("supernet.workflow.export_latency.load_target", lambda name: table)
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    found_file = SubnetFile.of(tiny_space, subnet, predicted={"target": "t", "latency_ms": 2.0})
    assert is_of_files(table) is same
    assert (table_of_prediction(found_file) is not None) is same


@pytest.mark.parametrize("beside", [True, False])
def test_a_card_says_how_a_latency_was_measured(beside: bool, tiny_space: Space) -> None:
    table = LatencyTable(target="t", device=describe_device(), rows={})
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    found_file = SubnetFile.of(tiny_space, subnet, predicted={"target": "t", "latency_ms": 2.0})
    found = check_latency(found_file, table, {"fp32": 2.1}, beside_known=beside)
    assert found is not None
    card: Any = SimpleNamespace(latency=asdict(found) | {"within": found.within})
    assert ("beside networks of known latency: 2.100 ms" in _latency(card)) is beside
    assert "2.100 ms" in _latency(card)


@pytest.mark.parametrize("predicted", [None, "2 ms", 0.0, -1.0])
def test_what_is_no_latency_is_not_compared(predicted: Any, tiny_space: Space) -> None:
    table = LatencyTable(target="t", device=describe_device(), rows={})
    subnet = decode(tiny_space, smallest(tiny_space))[0]
    file = SubnetFile.of(tiny_space, subnet, predicted={"target": "t", "latency_ms": predicted})
    assert check_latency(file, table, {"fp32": 2.1}) is None


@pytest.mark.parametrize(
    ("threads", "known", "expected"),
    [(1, True, [2.0, 3.0]), (2, True, [4.0, 6.0]), (1, False, [4.0, 6.0])],
    ids=["corrected", "of several threads", "of another space"],
)
def test_files_compare_with_a_table_however_fast_the_machine_is_now(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    known: bool,
    expected: list[float],
) -> None:
    """The machine takes twice the time today, for files and for the networks of the table."""
    paths = [tmp_path / name for name in ("model.onnx", "model_int8.onnx")]
    for path in paths:
        path.write_bytes(b"not opened")
    today = [4.0, 6.0]

    def fake(models: Sequence[Any], *_: object, **__: object) -> list[Timing]:
        return [Timing(ms, 0.0) for ms in [*today, 2 * 1.5, 2 * 2.5, 2 * 3.5][: len(models)]]

    def anchors(*_: object) -> tuple[list[bytes], Any]:
        return [b""] * 3, np.array([1.5, 2.5, 3.5])

    monkeypatch.setattr("supernet.workflow.export_latency.measure", fake)
    monkeypatch.setattr(drift, "measure", fake)
    monkeypatch.setattr(drift, "_anchors", anchors)
    monkeypatch.setattr(drift, "backend_of", lambda _: object())
    table = replace(TABLE, threads=threads)
    found = file_latencies(paths, table, load_space("demo") if known else None)
    assert list(found) == paths
    assert [*found.values()] == pytest.approx(expected)
