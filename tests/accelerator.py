"""A device ``standin:0`` whose memory is the host's, to see what an accelerator would be asked.

Its tensors hold CPU tensors and compute with these. As on a GPU, operators refuse a mixture of
devices, and what makes the host wait is seen: each copy to the host, each copy from it that is
not ``non_blocking``, and each operator whose result has a size that depends on values, is noted
with the line of ours that asked for it. It says nothing about speed or real kernels.

    with Accelerator() as accelerator:
        network.to(accelerator.device)(images.to(accelerator.device)).cpu()
    accelerator.waits  # ["models/network.py:12 _to_copy"]

One thing is stricter than with CUDA: moving a module there replaces its parameters.
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

import supernet

__all__ = ["AVAILABLE", "Accelerator"]

_NAME, _OURS = "standin", Path(supernet.__file__).parent
_SETUP = "_setup_privateuseone_for_python_backend"
_CPU = torch.device("cpu")

AVAILABLE = hasattr(backend_registration, _SETUP)
"""Whether this torch lets Python be a device (from 2.9 on)."""

_SIZED_BY_VALUES = {"nonzero", "masked_select", "_unique2", "bincount", "equal", "is_nonzero"}


if AVAILABLE and not hasattr(torch, _NAME):
    # on import, so that all is collected before a backward pass counts the devices once for all
    getattr(backend_registration, _SETUP)(_NAME)
    type(getattr(torch, _NAME)).get_amp_supported_dtype = staticmethod(
        lambda: [torch.float16, torch.bfloat16]
    )


class Accelerator:
    """While it is entered, ``device`` can be used."""

    def __init__(self) -> None:
        self.device = torch.device(_NAME, 0)
        self.waits: list[str] = []
        """What made the host wait, in order: where, and the operator."""

    def __enter__(self) -> Self:
        self._modes = ExitStack()
        self._modes.enter_context(_Constructors())
        self._modes.enter_context(_Everywhere(self))
        return self

    def __exit__(self, *error: object) -> None:
        self._modes.close()

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """An operator on tensors of the device, of the host, or of both where that is allowed."""
        flat = tree_flatten((args, kwargs))[0]
        here = [x for x in flat if isinstance(x, _OnDevice)]
        goal = next((x for x in flat if isinstance(x, torch.device)), None)
        to_device = bool(here) if goal is None else goal.type == _NAME
        name = func.overloadpacket.__name__
        self._check(func, name, flat, here)
        out = func(*_on_host(args), **_on_host(kwargs))
        takes_turn = _takes_turn(name, args, kwargs)
        if self._waits(name, flat, here, to_device, takes_turn=takes_turn):
            self.waits.append(f"{_caller(sys._getframe())} {name}")
        if name == "copy_":
            return args[0]
        if not to_device:
            return out
        out = tree_map(lambda x: _OnDevice(x, self) if isinstance(x, Tensor) else x, out)
        return return_and_correct_aliasing(func, args, kwargs, out) if here else out

    @staticmethod
    def _check(func: Any, name: str, flat: list[Any], here: list["_OnDevice"]) -> None:
        """Numbers may come from the host, and so may indices and what is copied."""
        hosts = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, _OnDevice)]
        shapes = [tuple(x.shape) for x in hosts if x.dim()]
        if here and shapes and not name.startswith(("index", "_index", "copy_", "_to_copy")):
            raise RuntimeError(f"{func}: all tensors must be on one device, on cpu are {shapes}")

    @staticmethod
    def _waits(
        name: str,
        flat: list[Any],
        here: list["_OnDevice"],
        to_device: bool,
        *,
        takes_turn: bool,
    ) -> bool:
        if name == "copy_":
            to, source = (isinstance(x, _OnDevice) for x in flat[:2])
            return source > to or (to > source and not takes_turn)
        if name == "_to_copy" and not here:
            return to_device and not takes_turn
        if name in ("index", "index_put_"):
            return any(x.dtype == torch.bool for x in here[1:])
        by_values = name == "_local_scalar_dense" or name in _SIZED_BY_VALUES
        return bool(here) and (by_values or not to_device)


class _OnDevice(Tensor):
    """A tensor of the device: its values are those of `host`."""

    host: Tensor
    owner: Accelerator

    @staticmethod
    def __new__(cls, host: Tensor, owner: Accelerator) -> Self:
        made: Self = torch.Tensor._make_wrapper_subclass(
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            layout=host.layout,
            device=owner.device,
            requires_grad=host.requires_grad,
        )
        made.host, made.owner = host, owner
        return made

    def __init__(self, host: Tensor, owner: Accelerator) -> None:
        super().__init__()

    def __repr__(self) -> str:  # type: ignore[override]  # it takes more
        return f"{_NAME}({self.host!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as a tensor of the host, which ``map_location="cpu"`` makes of any."""
        return self.host.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's own is a placeholder
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        flat = tree_flatten((args, kwargs or {}))[0]
        owner = next(x.owner for x in flat if isinstance(x, _OnDevice))
        return owner.run(func, args, kwargs or {})


class _Everywhere(TorchDispatchMode):
    """Sees what makes tensors, too."""

    def __init__(self, owner: Accelerator) -> None:
        super().__init__()
        self._owner = owner

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._owner.run(func, args, kwargs or {})


class _Constructors(TorchFunctionMode):
    """Those from Python values write memory directly: made on the host, then moved."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[Any], args: Any = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        device = given.get("device")
        if func in (torch.tensor, torch.as_tensor) and torch.device(device or _CPU).type == _NAME:
            return func(*args, **given | {"device": _CPU}).to(device)
        return func(*args, **given)


def _takes_turn(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a copy from the host is done when its turn comes, and nobody waits for it."""
    return bool(args[2] if name == "copy_" and len(args) > 2 else kwargs.get("non_blocking"))


def _on_host(values: Any) -> Any:
    def host(value: Any) -> Any:
        if isinstance(value, _OnDevice):
            return value.host
        ours = isinstance(value, torch.device) and value.type == _NAME
        return _CPU if ours else value

    return tree_map(host, values)


def _caller(frame: FrameType | None) -> str:
    """The innermost line of the package that leads here."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_OURS):
            return f"{path.relative_to(_OURS).as_posix()}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"
