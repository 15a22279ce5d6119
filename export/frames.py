"""At which layer of a network torch failed."""

from collections.abc import Iterator
from types import FrameType

from torch import fx, nn

__all__ = ["failed_layer", "layer_of"]


def failed_layer(error: BaseException, network: nn.Module) -> str:
    """The layer at which an export by torch failed, by the frames that it failed in.

    Args:
        error: as it was caught.
        network: the very one that was exported.

    Returns:
        Its name; empty where none is known.
    """
    names = {module: name for name, module in network.named_modules()}
    found = ""
    for frame in _frames(error):
        node, module = frame.f_locals.get("node"), frame.f_locals.get("self")
        if isinstance(node, fx.Node):
            found = layer_of(node) or found
        elif isinstance(module, nn.Module):
            found = names.get(module, "") or found
    return found


def layer_of(node: fx.Node) -> str:
    """The name of the module that a node of an exported graph stands in; empty for none."""
    stack = node.meta.get("nn_module_stack") or {}
    return str([*stack.values()][-1][0]) if stack else ""


def _frames(error: BaseException | None) -> Iterator[FrameType]:
    """Of an error and of what caused it, the innermost last."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
