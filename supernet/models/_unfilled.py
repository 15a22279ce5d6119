"""Layers without values, for whoever has those or asks for shapes alone."""

from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

__all__ = ["Unfilled"]


class Unfilled(TorchFunctionMode):
    """Within it, layers are made without memory, and no first values are drawn for them.

    On the device ``meta`` alone drawing, which changes nothing there, takes half of the time;
    in a process that does so for the first time torch imports parts of its compiler for it.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _DRAWS:
            return None
        given = kwargs or {}
        if func in _MAKES and given.get("device") is None:
            given = {**given, "device": "meta"}
        return func(*args, **given)


_DRAWS = {
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.ones_,
    nn.init.uniform_,
    nn.init.zeros_,
}
_MAKES = {torch.empty, torch.eye, torch.ones, torch.zeros, torch.tensor}
