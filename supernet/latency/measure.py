"""Timing ONNX models in ONNX Runtime on a machine that may be busy.

The statistic is the minimum of the thread's CPU time: with one thread the whole
model runs on the calling thread, and its CPU time, unlike wall time, does not grow
while another process has the core. Models are timed in bursts, in random order, in
several rounds, so that a slow minute hits all of them alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime

from supernet.progress import Progress, silent

__all__ = ["Protocol", "Timing", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How models are timed; kept with every table."""

    rounds: int = 5
    """Times that all models are visited."""
    burst: int = 12
    """Timed runs in a visit."""
    warmup: int = 3
    """Runs before those, not timed."""
    threads: int = 1
    statistic: str = "minimum of thread CPU time"


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of one model."""

    ms: float
    """The statistic of the protocol, in milliseconds."""
    spread_ms: float
    """Median minus minimum of the runs."""


def measure(
    models: Sequence[bytes],
    protocol: Protocol | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
    what: str = "models",
) -> list[Timing]:
    """Time every model, input ``x`` filled with random numbers.

    Args:
        models: serialised ONNX models; an input size that may vary is taken as 1.
        protocol: how often.
        seed: of the order of visits and of the inputs.
        progress: told about every visit.
        what: the models, in a word for the progress.
    """
    protocol = protocol or Protocol()
    rng = np.random.default_rng(seed)
    runs = [_runner(model, rng, protocol.threads) for model in models]
    samples: list[list[int]] = [[] for _ in models]
    done, total = 0, protocol.rounds * len(runs)
    for _ in range(protocol.rounds):
        for index in rng.permutation(len(runs)).tolist():
            samples[index] += _burst(runs[index], protocol)
            done += 1
            progress(done, total, f"timing {what}")
    return [_summary(values) for values in samples]


def _summary(samples_ns: Sequence[int]) -> Timing:
    best = min(samples_ns) / 1e6
    return Timing(best, float(np.median(samples_ns)) / 1e6 - best)


def _burst(run: Callable[[], None], protocol: Protocol) -> list[int]:
    for _ in range(protocol.warmup):
        run()
    clock = time.thread_time_ns
    samples = []
    for _ in range(protocol.burst):
        start = clock()
        run()
        samples.append(clock() - start)
    return samples


def _runner(model: bytes, rng: np.random.Generator, threads: int) -> Callable[[], None]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = session.get_inputs()[0]
    binding = session.io_binding()
    # a size that may vary has a name: one image then
    shape = [size if isinstance(size, int) else 1 for size in x.shape]
    values = rng.standard_normal(shape, dtype=np.float32)
    binding.bind_cpu_input(x.name, values)
    binding.bind_output(session.get_outputs()[0].name)

    def run() -> None:
        session.run_with_iobinding(binding)

    return run
