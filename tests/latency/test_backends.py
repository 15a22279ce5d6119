"""Every backend keeps the contract; a new one is tested by its line in `BACKENDS`."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, MissingPackageError
from supernet.latency import Protocol, make_plan, measure, measure_here, table_of
from supernet.latency.backends import BACKENDS, backend_class, installed, open_backend
from supernet.latency.kit.measuring import clock_of
from supernet.space import Head, Operator, Space, Stage, Stem, decode, operators, sample

HERE = installed()
SHORT = Protocol(rounds=2, least=2, burst=3, visit_ms=0.0, warmup=1)
SMALL = Operator(
    op="mbconv",
    in_channels=8,
    mid_channels=16,
    out_channels=8,
    kernel=3,
    act="hard_swish",
    se=8,
    shortcut="identity",
    height=8,
    width=8,
)
LARGE = Operator(
    op="conv", in_channels=64, out_channels=64, kernel=3, act="relu", height=48, width=48
)
FEW = Space(
    name="few",
    resolutions=(8,),
    stem=Stem(width=(8,)),
    stages=(Stage(width=(8, 16), depth=(1,), kernel=(3, 5), expand=(2.0,)),),
    head=Head(),
    num_classes=2,
)

every = pytest.mark.parametrize("name", BACKENDS)
every_installed = pytest.mark.parametrize("name", HERE)


def seconds(run: Any) -> float:
    import time

    times = []
    for _ in range(7):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def test_what_this_library_depends_on_can_be_measured() -> None:
    assert {"onnxruntime", "torch"} <= set(HERE)


@every
def test_a_backend_is_named_as_its_file(name: str) -> None:
    found = backend_class(name)
    assert found.name == name
    assert found.__module__ == f"supernet.latency.backends.{name}"
    assert "fp32" in found.precisions
    assert "cpu" in found.devices


@every
def test_a_missing_runtime_names_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingPackageError, match=f"{name} cannot be imported") as caught:
        open_backend(name)
    assert f"pip install {name}" in caught.value.hint
    assert caught.value.exit_code == 3


@every_installed
def test_it_says_what_identifies_it(name: str) -> None:
    found = open_backend(name).describe()
    assert set(found) == {"runtime", "runtime_version", "provider"}
    assert found["runtime"] == name
    assert all(found.values())


@every_installed
def test_a_larger_operator_takes_longer(name: str) -> None:
    backend = open_backend(name)
    small, large = backend.load([SMALL]), backend.load([LARGE])
    assert seconds(large) > 2 * seconds(small)


@every_installed
@pytest.mark.parametrize("batch", [1, 3])
def test_every_kind_of_network_runs_in_every_precision(
    name: str, batch: int, mixed_space: Space, rng: np.random.Generator
) -> None:
    for precision in backend_class(name).precisions:
        backend = open_backend(name, batch=batch, precision=precision)
        for subnet in decode(mixed_space, sample(mixed_space, 2, rng)):
            backend.load(operators(mixed_space, subnet))()


@every_installed
def test_one_thread_of_the_cpu_is_timed_by_its_own_clock(name: str) -> None:
    """The CPU time of the calling thread must hold all the work, or it means nothing."""
    backend = open_backend(name)
    run, clock = backend.load([LARGE]), clock_of(backend)
    own = []
    for _ in range(5):
        start = clock()
        run()
        own.append((clock() - start) / 1e9)
    assert min(own) > 0.5 * seconds(run)


@every_installed
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"precision": "int3"}, "precision: .* measures .*fp32"),
        ({"device": "tpu"}, "device: .* measures on cpu"),
        ({"threads": 0}, "threads and batch: must be at least 1, found 0, 1"),
        ({"threads": 99999}, r"threads: this machine has \d+ cores, found 99999"),
        ({"batch": -1}, "threads and batch: must be at least 1, found 1, -1"),
    ],
)
def test_impossible_settings_are_refused(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_backend(name, **options)


@every_installed
def test_a_table_can_be_made_with_it(name: str) -> None:
    result = measure_here(make_plan(FEW, fit=4, hold_out=2), open_backend(name), protocol=SHORT)
    table = table_of([result], "bench")
    assert table.missing(FEW) == []
    assert table.device["runtime"] == name


def test_an_unknown_backend_suggests_the_known() -> None:
    with pytest.raises(ConfigError, match="no 'tensorrt' here") as caught:
        open_backend("tensorrt")
    assert "onnxruntime" in caught.value.hint


def test_files_are_for_onnx_runtime() -> None:
    with pytest.raises(ConfigError, match="torch reads no ONNX files"):
        measure([b"a file"], backend=open_backend("torch"))


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch")
def test_a_gpu_that_is_not_there_is_a_missing_device() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(MissingPackageError, match="torch sees no CUDA device"):
        open_backend("torch", device="cuda")
