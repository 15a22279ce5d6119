"""Activations by name: single fused kernels in torch and single operators in ONNX."""

from torch import nn

from supernet.space import Operator

__all__ = ["gate_activations", "make_activation"]

_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
    "swish": nn.SiLU,
}
_GATES: dict[str, type[nn.Module]] = {"hard_sigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid}


def make_activation(name: str, *, inplace: bool = True) -> nn.Module:
    """The module of an activation; in place, where its input is never used again."""
    return nn.Identity() if name == "none" else _MODULES[name](inplace=inplace)


def gate_activations(operator: Operator) -> tuple[nn.Module, nn.Module]:
    """What follows the two convolutions of its squeeze-excite."""
    hidden, gate = operator.gate_acts
    return make_activation(hidden, inplace=False), _GATES[gate]()
