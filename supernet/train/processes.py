"""Training in several processes, on one machine or many, as `torchrun` starts them."""

import datetime
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from supernet.errors import ConfigError, SupernetError

__all__ = ["Processes", "joined_processes"]

_PATIENCE = datetime.timedelta(hours=6)  # the first process decodes and validates alone

_HINT = "start all processes by torchrun, or unset WORLD_SIZE in the environment for one process"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train together, seen from one of them."""

    rank: int = 0
    """Number of this one."""
    count: int = 1
    """How many there are."""
    local_rank: int = 0
    """Number of this one on its machine."""
    device: str = "cpu"
    """Where this one trains, such as ``cpu`` or ``cuda:0``."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes, validates and talks."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes; the same in each of them."""
        if self.count == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.count

    def broadcast(self, value: T) -> T:
        """What the first process has, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Fill `tensors` with what the first process has in them."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def from_main(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them; or the error that it met."""
        if self.count == 1:
            return make()
        made: tuple[T | None, SupernetError | None] = None, None
        if self.is_main:
            try:
                made = make(), None
            except SupernetError as error:
                made = None, error
        value, error_there = self.broadcast(made)
        if error_there is not None:
            raise error_there
        return cast("T", value)

    def barrier(self) -> None:
        """Until all of them are here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def one_a_machine_first(self) -> Iterator[None]:
        """The first process of each machine does it, then the others (who find it done).

        Where it fails, the others are let go on, to fail alike and not for want of the first.
        """
        if self.local_rank:
            self.barrier()
        try:
            yield
        except Exception:
            if not self.local_rank:
                self.barrier()
            raise
        if not self.local_rank:
            self.barrier()


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, if it did.

    Args:
        device: where to train; ``cuda`` becomes the GPU of this process.

    Raises:
        ConfigError: the environment says only a part of what `torchrun` sets.
    """
    count = _number("WORLD_SIZE", "1")
    if count == 1:
        yield Processes(device=device)
        return
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise ConfigError(
                f"WORLD_SIZE={count} says several processes, {name} is not set", hint=_HINT
            )
    rank, local = _number("RANK"), _number("LOCAL_RANK", "0")
    if rank >= count:
        raise ConfigError(
            f"RANK must be below {count}, what WORLD_SIZE says, found {rank}", hint=_HINT
        )
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{local}"
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(rank, count, local, device)
    finally:
        dist.destroy_process_group()


def _number(name: str, default: str = "") -> int:
    """The whole number that the environment gives."""
    text = os.environ.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name} must be a whole number, found {text!r}", hint=_HINT) from None
