"""A stopwatch that needs no time: a model takes as long as its multiply-adds are many."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from supernet.latency import measuring
from supernet.latency.backends import Backend, Run
from supernet.latency.kit.protocol import Protocol
from supernet.latency.kit.spec import Spec
from supernet.space import Operator

Models = Sequence[Any]


class Stopwatch(Backend):
    """Stands in for ONNX Runtime and for the clock, and keeps what was asked."""

    name = "onnxruntime"
    precisions = ("fp32", "int8")
    devices = ("cpu", "cuda")

    def _open(self) -> None:
        self.asked: dict[str, list[list[Spec]]] = {}
        self.loads = 0
        self.ms: Callable[[Models], float] = self.by_macs
        self.now_ns = 0
        self.version = "1.2.3"

    @staticmethod
    def by_macs(operators: Models) -> float:
        macs = sum(Operator(**Spec.of(operator)._asdict()).macs for operator in operators)
        return 0.01 + macs / 1e6

    def load(self, operators: Models) -> Run:
        specs = [Spec.of(operator) for operator in operators]
        self.loads += 1
        found = self.asked.setdefault("operators" if len(specs) == 1 else "whole networks", [])
        if specs not in found:
            found.append(specs)
        ms = self.ms

        def run() -> None:
            self.now_ns += int(ms(operators) * 1e6)

        return run

    def clock(self) -> int:
        return self.now_ns

    def describe(self) -> dict[str, str]:
        return {
            "runtime": self.name,
            "runtime_version": self.version,
            "provider": "CPUExecutionProvider",
        }


SHORT = Protocol(rounds=3, least=2, burst=2, visit_ms=0.0, warmup=1)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """Takes the place of ONNX Runtime; every model is visited twice."""
    stopwatch = Stopwatch()
    monkeypatch.setattr(measuring, "OnnxRuntime", lambda **_: stopwatch)
    monkeypatch.setattr(measuring, "Protocol", lambda **_: SHORT)
    monkeypatch.setattr("supernet.latency.kit.run.clock_of", lambda _: stopwatch.clock)
    return stopwatch
