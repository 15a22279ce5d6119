"""OpenVINO on the CPU, which reads the same ONNX graphs."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from supernet.errors import MissingPackageError
from supernet.latency.backends.contract import Backend, Run
from supernet.latency.kit.graph import PRECISIONS, build_onnx

__all__ = ["OpenVino"]


class OpenVino(Backend):
    """Graphs of operators, compiled for latency.

    Without a hint OpenVINO computes in bf16 or fp16 where the processor can, with errors of
    2e-3 to 7e-3, so ``fp32`` asks for fp32. On one thread it computes on the calling one.
    """

    name = "openvino"
    precisions = PRECISIONS

    def _open(self) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingPackageError(
                f"openvino cannot be imported ({error})",
                hint="install it: python3 -m pip install openvino",
            ) from None
        self._runtime: Any = openvino
        self._core = openvino.Core()

    def load(self, operators: Sequence[Any]) -> Run:
        """A compiled model with its request and its input."""
        onnx = build_onnx(operators, batch=self.batch, precision=self.precision)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self.threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        # bytes are read as ONNX when the second argument holds nothing
        compiled = self._core.compile_model(self._core.read_model(onnx, b""), "CPU", settings)
        request = compiled.create_infer_request()
        shape = list(compiled.input(0).shape)
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        request.set_input_tensor(self._runtime.Tensor(values, shared_memory=True))

        def run() -> None:
            request.infer()

        return run

    def describe(self) -> dict[str, str]:
        """Name, version and plugin."""
        return {
            "runtime": "openvino",
            "runtime_version": self._runtime.__version__.split("-")[0],
            "provider": "CPU",
        }
