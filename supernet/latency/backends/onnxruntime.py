"""ONNX Runtime, on the CPU and where it was built for it on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from supernet.errors import MissingPackageError
from supernet.latency.backends.contract import Backend, Run
from supernet.latency.kit.graph import PRECISIONS, build_onnx
from supernet.latency.kit.machine import Machine

__all__ = ["OnnxRuntime"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ERRORS_ONLY = 3


class OnnxRuntime(Backend):
    """Graphs of operators in the form that the exporter writes them."""

    name = "onnxruntime"
    precisions = PRECISIONS
    devices = tuple(_PROVIDERS)

    def _open(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingPackageError(
                f"onnxruntime cannot be imported ({error})",
                hint="install it: python3 -m pip install onnxruntime",
            ) from None
        self._runtime: Any = onnxruntime
        found = onnxruntime.get_available_providers()
        if _PROVIDERS[self.device] not in found:
            raise MissingPackageError(
                f"this onnxruntime has no {_PROVIDERS[self.device]}, only {', '.join(found)}",
                hint="install it: python3 -m pip install onnxruntime-gpu",
            )

    def load(self, operators: Sequence[Any]) -> Run:
        """A session with its input and output bound."""
        model = build_onnx(operators, batch=self.batch, precision=self.precision)
        return self.load_onnx(model)

    def load_onnx(self, model: bytes) -> Run:
        """The same for any ONNX file with one input; a size that may vary is taken as 1."""
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        session = self._runtime.InferenceSession(
            model, options, providers=[_PROVIDERS[self.device]]
        )
        x = session.get_inputs()[0]
        shape = [size if isinstance(size, int) else 1 for size in x.shape]
        values = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        binding = session.io_binding()
        output = session.get_outputs()[0].name
        if self.device == "cpu":
            binding.bind_cpu_input(x.name, values)
            binding.bind_output(output)
        else:  # nothing is copied while the time is taken
            on_device = self._runtime.OrtValue.ortvalue_from_numpy(values, self.device, 0)
            binding.bind_ortvalue_input(x.name, on_device)
            binding.bind_output(output, self.device)

        def run() -> None:  # returns when the device has finished, unlike CUDA by itself
            session.run_with_iobinding(binding)

        return run

    def describe(self) -> dict[str, str]:
        """Name, version and execution provider; the GPU where it is used."""
        gpu = {"gpu": Machine.gpu()} if self.device == "cuda" else {}
        return {
            **gpu,
            "runtime": "onnxruntime",
            "runtime_version": self._runtime.__version__,
            "provider": _PROVIDERS[self.device],
        }
