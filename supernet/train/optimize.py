"""What turns gradients into new weights: optimisers, clipping, loss scaling, averages."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from supernet.errors import ConfigError
from supernet.train.recipe import Recipe

__all__ = ["Average", "Optimizer"]

_FUSED = "cpu", "cuda"  # devices for which torch has an update in one pass over memory


class Optimizer:
    """The optimiser of a recipe, with its clipping and, for fp16, its loss scaling.

    Args:
        module: whose weights change.
        recipe: says how.
        device: type of the device, such as ``cuda``.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, device: str) -> None:
        self._recipe, self._parameters = recipe, list(module.parameters())
        decayed = [p for p in self._parameters if p.ndim > 1]
        rest = [p for p in self._parameters if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        self._fused = fused = device in _FUSED
        self.torch: torch.optim.Optimizer
        if recipe.optimizer == "sgd":
            momentum = recipe.momentum
            self.torch = torch.optim.SGD(groups, 0.1, momentum, nesterov=momentum > 0, fused=fused)
        else:
            betas = (recipe.momentum, recipe.beta2)
            self.torch = torch.optim.AdamW(groups, 0.1, betas, fused=fused)
        self._begin_momenta()
        self._scaler = torch.amp.GradScaler(device, enabled=recipe.precision == "fp16")

    def _begin_momenta(self) -> None:
        """Momenta of zero where there are none yet, from which the first step is the same.

        Fused SGD cannot take weights that have one together with weights that have not, as
        when a phase begins to train kernels that were never active.
        """
        for group in self.torch.param_groups:
            group["fused"] = self._fused
            if "nesterov" in group and group["momentum"]:
                for weight in group["params"]:
                    state = self.torch.state[weight]
                    if state.get("momentum_buffer") is None:
                        state["momentum_buffer"] = torch.zeros_like(weight)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # untyped in torch

    def step(self, lr: float) -> bool:
        """One step with this learning rate, then forget the gradients.

        Returns:
            Whether the gradients were finite. If not, and the recipe says ``skip``, the
            weights stay as they were.
        """
        for group in self.torch.param_groups:
            group["lr"] = lr
        self._scaler.unscale_(self.torch)
        finite = self._clip()
        if finite:
            self._scaler.step(self.torch)
        if self._scaler.is_enabled():
            self._scaler.update()
        self.torch.zero_grad(set_to_none=True)
        return finite

    def _clip(self) -> bool:
        recipe = self._recipe
        skips = recipe.non_finite == "skip"
        if recipe.clip_value:
            if skips and not self._finite():  # clipped they would all be
                return False
            nn.utils.clip_grad_value_(self._parameters, recipe.clip_value)
        if not recipe.clip_norm and not skips:
            return True
        norm = nn.utils.clip_grad_norm_(self._parameters, recipe.clip_norm or torch.inf)
        return not skips or bool(torch.isfinite(norm))

    def _finite(self) -> bool:
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        return bool(torch.isfinite(nn.utils.get_total_norm(gradients)))

    def tensors(self) -> list[Tensor]:
        """Momenta and what else it keeps of the weights."""
        kept = [value for state in self.torch.state.values() for value in state.values()]
        return [value for value in kept if isinstance(value, Tensor)]

    def state(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {"optimizer": self.torch.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ConfigError: it is of another optimiser or network.
        """
        try:
            self.torch.load_state_dict(state["optimizer"])
        except (ValueError, KeyError) as error:
            raise ConfigError(f"state of another optimiser or network: {error}") from None
        self._begin_momenta()
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])


class Average:
    """An exponential average of weights (arXiv:1806.04498).

    Args:
        module: whose weights are averaged.
        decay: share that the average keeps at each step; less in the first steps, so that it
            forgets where they began.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._live = [p.detach() for p in module.parameters()]
        self._names = [name for name, _ in module.named_parameters()]
        self._mean = [p.clone() for p in self._live]
        self._decay = decay

    def update(self, steps: int) -> None:
        """Take in the weights after a step, the first one after `steps` others."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it, the module has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def adopt(self) -> None:
        """The module goes on from its averaged weights."""
        torch._foreach_copy_(self._live, self._mean)

    def restart(self) -> None:
        """The average goes on from the module's weights."""
        torch._foreach_copy_(self._mean, self._live)

    def state(self) -> dict[str, Tensor]:
        """The averages by the names of the weights."""
        return dict(zip(self._names, self._mean))

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from the averages of `state`."""
        torch._foreach_copy_(self._mean, [state[name] for name in self._names])

    def _swap(self) -> None:
        for live, mean in itertools.zip_longest(self._live, self._mean):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)
