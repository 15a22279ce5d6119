"""PyTorch in eager mode, on the CPU and on CUDA. Not carried by kits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supernet.errors import MissingPackageError
from supernet.latency.backends.contract import Backend, Run

__all__ = ["Torch"]


class Torch(Backend):
    """The plain network of the operators, as `extract` gives it, channels last on CUDA."""

    name = "torch"
    precisions = ("fp32", "fp16")
    devices = ("cpu", "cuda")

    def _open(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingPackageError(
                f"torch cannot be imported ({error})",
                hint="install it: python -m pip install torch",
            ) from None
        self._torch: Any = torch
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MissingPackageError(
                "torch sees no CUDA device here", hint="check nvidia-smi, or leave out --device"
            )

    def load(self, operators: Sequence[Any]) -> Run:
        """The network in eval mode, batch norm folded into convolutions."""
        from supernet.models import Network

        torch = self._torch
        network = _folded(Network(operators).eval())
        kind = torch.float16 if self.precision == "fp16" else torch.float32
        first = operators[0]
        shape = [self.batch, first.in_channels]
        shape += [first.height, first.width] if first.op != "linear" else []
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(shape, generator=generator).to(self.device, kind)
        network = network.to(self.device, kind)
        if self.device == "cuda" and x.dim() == 4:
            x = x.to(memory_format=torch.channels_last)
            network = network.to(memory_format=torch.channels_last)
        synchronise = torch.cuda.synchronize if self.device == "cuda" else None
        threads = self.threads

        def run() -> None:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            with torch.inference_mode():
                network(x)
            if synchronise is not None:
                synchronise()

        return run

    def describe(self) -> dict[str, str]:
        """Name, version, and the GPU where it is used."""
        torch = self._torch
        gpu = {"gpu": torch.cuda.get_device_name()} if self.device == "cuda" else {}
        return {
            **gpu,
            "runtime": "torch",
            "runtime_version": torch.__version__,
            "provider": self.device,
        }


def _folded(network: Any) -> Any:
    """`network` with each batch norm inside the convolution before it."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in list(network.modules()):
        conv = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and conv is not None:
                setattr(module, conv[0], fuse_conv_bn_eval(conv[1], child))
                setattr(module, name, nn.Identity())
            conv = (name, child) if isinstance(child, nn.Conv2d) else None
    return network
