"""What a network computes, operation by operation, seen while it runs.

One image runs through it, as shapes without values where the network is on the device ``meta``.
torch hands over every operation with the tensors that it reads, whatever the code around it
looks like, so nothing depends on names or on kinds of modules.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from supernet.errors import ConfigError

__all__ = ["Graph", "Step", "trace"]

_SAME_VALUES = {"t", "detach", "alias", "view", "_unsafe_view", "transpose", "reshape"}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An operation."""

    op: str
    """As torch calls it, without the underscore of what works in place."""
    reads: tuple[int, ...]
    """Numbers of the steps that it reads, in the order of its arguments."""
    weights: tuple[str, ...]
    """Names of the parameters and buffers that it reads."""
    arguments: dict[str, Any]
    """All others that it was given."""
    shape: tuple[int, ...]
    """Of what it gives."""
    kernel: tuple[int, ...]
    """Rows and columns of the first of its weights that has some."""
    layer: str
    """Where in the network it stands, for messages."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The steps between an image and the output of a network."""

    steps: tuple[Step, ...]
    """In the order of running; the first is the image, the last the output."""

    def readers(self) -> list[list[int]]:
        """For each step, the steps that read it."""
        found: list[list[int]] = [[] for _ in self.steps]
        for number, step in enumerate(self.steps):
            for read in step.reads:
                found[read].append(number)
        return found


def trace(network: nn.Module, image: Tensor) -> Graph:
    """The graph of a network in eval mode.

    Args:
        network: left as it is.
        image: ``(N, C, H, W)``, on its device.

    Raises:
        ConfigError: it cannot take the image, its path depends on the image, or it gives
            something else than one tensor.
    """
    recorder = _Recorder(network, image)
    training = network.training
    try:
        with ExitStack() as stack:
            stack.enter_context(_named(network.eval(), recorder.layers))
            stack.enter_context(torch.no_grad())
            stack.enter_context(recorder)
            output = network(image)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever others wrote for what they cannot take
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        where = f"in {recorder.layers[-1]} " if recorder.layers else ""
        raise ConfigError(
            f"the network cannot be traced: {where}an image of shape {tuple(image.shape)} gives: "
            f"{reason}",
            hint="give --size where it takes images of one size only",
        ) from None
    finally:
        network.train(training)
    if not isinstance(output, Tensor) or id(output) not in recorder.numbers:
        raise ConfigError(
            f"the network gives {type(output).__name__}, not one tensor made from the image",
            hint="wrap it in a module that returns its logits alone",
        )
    return _live(recorder.steps, recorder.numbers[id(output)])


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's, without types
    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.layers: list[str] = []
        self.steps = [Step("image", (), (), {}, tuple(image.shape), (), "image")]
        self.numbers = {id(image): 0}
        state = [*network.named_parameters(), *network.named_buffers()]
        self._names = {id(tensor): name for name, tensor in state}
        self._kept: list[Any] = [image]  # an id is of one tensor while that lives

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,  # torch's signature
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        schema = func._schema
        op = schema.name.partition("::")[2]
        given = {a.name: value for a, value in zip(schema.arguments, args)} | (kwargs or {})
        tensors = [value for value in tree_flatten(given)[0] if isinstance(value, Tensor)]
        reads = tuple(self.numbers[id(t)] for t in tensors if id(t) in self.numbers)
        if op == "_local_scalar_dense" and reads:
            where = self.layers[-1] if self.layers else "the network"
            raise ConfigError(
                f"the network cannot be traced: in {where} a number is read out of a tensor, so "
                "what runs depends on the image",
                hint="a supernet's layers are the same for all images",
            )
        output = func(*args, **(kwargs or {}))
        self._kept.append((tensors, output))
        owned = [t for t in tensors if id(t) in self._names]
        weights = tuple(self._names[id(t)] for t in owned)
        if reads:
            self._add(op, reads, owned, given, output)
        elif op in _SAME_VALUES and len(weights) == 1 and isinstance(output, Tensor):
            self._names[id(output)] = weights[0]
        return output

    def _add(
        self,
        op: str,
        reads: tuple[int, ...],
        owned: list[Tensor],
        given: dict[str, Any],
        output: Any,
    ) -> None:
        weights = tuple(self._names[id(t)] for t in owned)
        kernel = next((tuple(t.shape[2:]) for t in owned if t.ndim == 4), ())
        plain = {name: value for name, value in given.items() if not isinstance(value, Tensor)}
        outputs = [value for value in tree_flatten(output)[0] if isinstance(value, Tensor)]
        layer = self.layers[-1] if self.layers else "the network"
        name = op if op.startswith("_") else op.removesuffix("_")
        for place, value in enumerate(outputs):
            self.numbers[id(value)] = len(self.steps)
            own = name if place == 0 else f"{name}.{place}"
            shape = tuple(value.shape)
            self.steps.append(Step(own, reads, weights, plain, shape, kernel, layer))


@contextmanager
def _named(network: nn.Module, layers: list[str]) -> Iterator[None]:
    """Within it, `layers` ends in the name of the module that runs."""

    def entering(name: str) -> Callable[..., None]:
        return lambda *_: layers.append(name)

    hooks = []
    for name, module in network.named_modules():
        if name:
            hooks.append(module.register_forward_pre_hook(entering(name)))
            hooks.append(module.register_forward_hook(lambda *_: layers.pop() and None))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _live(steps: list[Step], last: int) -> Graph:
    """Those that the output follows from, numbered anew."""
    needed, ahead = {last}, [last]
    while ahead:
        new = [read for read in steps[ahead.pop()].reads if read not in needed]
        needed.update(new)
        ahead += new
    order = sorted(needed)
    numbers = {old: new for new, old in enumerate(order)}
    return Graph(
        tuple(
            replace(steps[number], reads=tuple(numbers[read] for read in steps[number].reads))
            for number in order
        )
    )
