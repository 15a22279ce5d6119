"""Activations by name: single fused kernels in torch and single operators in ONNX."""

from torch import nn

__all__ = ["gate_activations", "make_activation"]

_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
    "swish": nn.SiLU,
}


def make_activation(name: str, *, inplace: bool = True) -> nn.Module:
    """The module of an activation; in place, where its input is never used again."""
    return nn.Identity() if name == "none" else _MODULES[name](inplace=inplace)


def gate_activations(gate: str, act: str) -> tuple[nn.Module, nn.Module]:
    """What follows the two convolutions of squeeze-excite in a block with the activation `act`."""
    if gate == "hard_sigmoid":
        return nn.ReLU(), nn.Hardsigmoid()
    return make_activation(act), nn.Sigmoid()
