"""The supernet: shared weights of all subnets, and plain networks taken from it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, cast, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.blocks import held_places
from supernet.elastic import (
    Elastic,
    ElasticAdd,
    ElasticBlock,
    ElasticChain,
    ElasticConvBlock,
    ElasticLinear,
    ElasticResidual,
)
from supernet.models._unfilled import Unfilled
from supernet.models.backbone import Backbone, backbone_of
from supernet.models.graph import Steps, run
from supernet.models.joints import Pool, joint_layer
from supernet.models.network import Network
from supernet.space import (
    Operator,
    Space,
    Subnet,
    chosen_maps,
    feature_maps,
    largest_subnet,
    operators,
)
from supernet.space.layout import Choice, Slot, layout_of
from supernet.space.subnet import slot_reads, subnet_values

__all__ = ["Supernet", "extract"]


class Supernet(nn.Module):
    """Shared weights of all subnets of a space; one of them is active.

    Right after construction the largest subnet is active.

    Args:
        space: what may be chosen.
        num_classes: outputs; those of the space when not given.
        in_channels: channels of an image; those of the space when not given.
    """

    def __init__(
        self, space: Space, *, num_classes: int | None = None, in_channels: int | None = None
    ) -> None:
        super().__init__()
        self.space = replace(
            space,
            num_classes=num_classes or space.num_classes,
            in_channels=in_channels or space.in_channels,
        )
        self.layout = layout_of(self.space)
        self.largest = largest_subnet(self.space)
        self.slots = nn.ModuleDict()
        self.places = [_Place(self.space, slot, self.slots) for slot in self.layout.slots]
        self._blocks = [m for m in self.modules() if isinstance(m, ElasticResidual)]
        self.dropout = 0.0
        self.activate(self.largest)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "layout"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy: the layout follows from the space, and holds functions."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]  # untyped in torch
        self.layout = layout_of(self.space)
        for place, slot in zip(self.places, self.layout.slots):
            place.slot = slot

    def activate(self, subnet: Subnet) -> None:
        """Make `subnet` the one that `forward` computes.

        Raises:
            ConfigError: the subnet is not of this supernet's space.
        """
        values = subnet_values(self.layout, subnet)
        chosen = [place.activate(values) for place in self.places]
        self._active = [where for where in chosen if where is not None]
        self._steps = self._connect(values, chosen)
        self.subnet = subnet

    def _connect(self, values: dict[str, Choice], chosen: Sequence["_Where | None"]) -> Steps:
        """What the active modules read."""
        if self.space.cells is None:
            return ()
        there = {place.slot.name: where is not None for place, where in zip(self.places, chosen)}
        reads = slot_reads(self.layout, values, there)
        active = [place for place, where in zip(self.places, chosen) if where is not None]
        for place, own in zip(active, reads):
            if isinstance(place.module, ElasticAdd):  # what the node itself did may be dropped
                writers = [active[read - 1].slot if read else None for read in own]
                place.module.form[:] = [
                    w is not None and w.place == place.slot.place for w in writers
                ]
        return held_places(reads)

    @property
    def active_modules(self) -> list[nn.Module]:
        """The modules of the active subnet, in the order in which they run."""
        return [siblings[name] for siblings, name in self._active]

    def regularise(self, *, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        """Set what is left out at random in train mode; by default nothing.

        Args:
            dropout: probability of each feature before the classifier.
            drop_path: probability of the last block, for an image; it rises linearly from
                0 at the first block (arXiv:1603.09382, section 3). In cells that of each
                operation in the last cell, rising from 0 before the first.
        """
        self.dropout = dropout
        for number, block in enumerate(self._blocks):
            block.drop_path = drop_path * number / max(1, len(self._blocks) - 1)
        sums = [place for place in self.places if isinstance(place.module, ElasticAdd)]
        for place in sums:
            share = place.slot.place.stage / sums[-1].slot.place.stage
            cast("ElasticAdd", place.module).drop_path = drop_path * share

    @contextmanager
    def on_integers(self) -> Iterator[None]:
        """Within it, all layers compute on what 8-bit integers hold, to be trained for them."""
        layers = [module for module in self.modules() if isinstance(module, Elastic)]
        for layer in layers:
            layer.rounds = True
        try:
            yield
        finally:
            for layer in layers:
                layer.rounds = False

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` normalised images to ``(N, classes)`` logits."""
        *body, (last, classifier) = self._active
        x = run([siblings[name] for siblings, name in body], self._steps, x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        logits: Tensor = last[classifier](x)
        return logits


class _Place:
    """A slot of the space with the modules that may stand there, one per kind of operator.

    Modules are kept by the names under which torch knows them, so that whoever puts another
    one there (a wrapper, say) replaces what is run.
    """

    def __init__(self, space: Space, slot: Slot, slots: nn.ModuleDict) -> None:
        self.slot, self._slots = slot, slots
        group = slot.name if slot.weights is None else slot.weights[0]
        self._name = group.replace(".", "_")
        self._names = [dimension.name for dimension in slot.dimensions]
        self._known: dict[tuple[Choice, ...], _Active | None] = {}
        self._active: _Active | None = None
        self.optional = False
        by_name: dict[str, dict[Operator, None]] = {}
        self._reach = 0
        for values in slot.combinations(space.resolutions[-1]):
            operator = slot.make(*values)
            if operator is None:
                self.optional = True
            else:
                by_name.setdefault(self._module_name(operator, values), {})[operator] = None
                if slot.picks is not None:
                    self._reach = max(self._reach, *(end for _, end in slot.picks(*values)))
        self.operators = list(dict.fromkeys(o for own in by_name.values() for o in own))
        self._only = len(by_name) == 1 and slot.weights is None
        if self._only:
            slots[self._name] = _elastic(space, self._hull(self.operators))
            return
        if self._name not in slots:
            slots[self._name] = nn.ModuleDict()
        shared = cast("nn.ModuleDict", slots[self._name])
        for name, own in by_name.items():
            if name not in shared:
                shared[name] = _elastic(space, self._hull(list(own)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "slot"}

    def _hull(self, own: Sequence[Operator]) -> Sequence[Operator]:
        """Operators of a module, and one that reads all that any of them reads."""
        if self._reach <= max(operator.in_channels for operator in own):
            return own
        return [*own, replace(own[0], in_channels=self._reach)]

    def _module_name(self, operator: Operator, values: Sequence[Choice]) -> str:
        """By which the module of an operator is known in the slot."""
        return operator.op if self.slot.weights is None else self.slot.weights[1](*values)

    @property
    def module(self) -> nn.Module:
        """What stands in the slot: a module, or one for each kind of operator."""
        return self._slots[self._name]

    def activate(self, values: dict[str, Choice]) -> "_Where | None":
        """Where the module for these values is, in the form of its operator; None if skipped."""
        key = tuple([values[name] for name in self._names])
        if key not in self._known:
            self._known[key] = self._first_time(key)
        active = self._known[key]
        if active is None:
            return None
        where, forms = active
        if active is not self._active:
            self._active = active
            for current, form in forms:
                current[:] = form
        return where

    def _first_time(self, key: tuple[Choice, ...]) -> "_Active | None":
        operator = self.slot.make(*key)
        if operator is None:
            return None
        siblings, name = self._slots, self._name
        if not self._only:
            siblings, name = cast("nn.ModuleDict", self.module), self._module_name(operator, key)
        parts = list(siblings[name].modules())
        for part in parts:
            if self.slot.picks is not None and isinstance(part, ElasticChain | ElasticLinear):
                part.activate(operator, reads=self.slot.picks(*key))
            elif isinstance(part, ElasticBlock):
                part.activate(operator)
        forms = [(part.form, part.form.copy()) for part in parts if isinstance(part, Elastic)]
        return (siblings, name), forms


_Where: TypeAlias = tuple[nn.ModuleDict, str]
"""A module by its name among those of the same slot, or of all slots."""

_Active: TypeAlias = tuple[_Where, list[tuple[list[Any], list[Any]]]]
"""Where a module is, and for each of its parts the list that is active and its content."""


def _elastic(space: Space, found: Sequence[Operator]) -> nn.Module:
    op = found[0].op
    if op == "pool":
        return Pool(keep=space.head.features_norm, act=found[0].act)
    if op == "add":
        return ElasticAdd()
    joint = joint_layer(found[0])
    if joint is not None:
        return joint
    if op == "linear":
        return ElasticLinear(found, flattens=space.head.features_norm)
    block = ElasticConvBlock if op == "conv" else ElasticChain
    learned = space.kernel_transform == "learned"
    made: nn.Module = block(found, momentum=space.bn_momentum, eps=space.bn_eps, learned=learned)
    return made


@overload
def extract(supernet: Supernet, subnet: Subnet) -> Network: ...
@overload
def extract(supernet: Supernet, subnet: Subnet, *, features: Sequence[int]) -> Backbone: ...
def extract(
    supernet: Supernet, subnet: Subnet, *, features: Sequence[int] | None = None
) -> Network | Backbone:
    """The plain network of `subnet` with a copy of its slice of the weights.

    It computes what the supernet computes with `subnet` active, in train and in
    eval mode; its batch norm statistics are the shared ones, so recalibrate it
    (`supernet.evaluate.recalibrate`) before use. The supernet's active subnet
    stays as it was.

    Args:
        supernet: that holds the weights.
        subnet: of its space.
        features: strides; the result is then a backbone that gives the last map at each of them,
            for images of any size.

    Raises:
        ConfigError: the subnet is not of this supernet's space; it has no map of such a stride.
    """
    found = operators(supernet.space, subnet)
    if features is None:
        return _extracted(supernet, subnet, found)
    chosen_maps(feature_maps(subnet, found), features)  # nothing is made for what cannot be
    return backbone_of(_extracted(supernet, subnet, found), subnet, found, features)


@torch.no_grad()
def _extracted(supernet: Supernet, subnet: Subnet, found: Sequence[Operator]) -> Network:
    space, before = supernet.space, supernet.subnet
    device = next(supernet.parameters()).device
    with Unfilled():  # values come from the supernet
        network = Network(
            found,
            momentum=space.bn_momentum,
            eps=space.bn_eps,
            dropout=supernet.dropout,
        )
    supernet.activate(subnet)
    for elastic, layer in zip(supernet.active_modules, network.layers):
        block = next((part for part in elastic.modules() if isinstance(part, ElasticBlock)), None)
        if block is not None:
            _give(layer, block.active_state(), device)
    supernet.activate(before)
    return network.train(supernet.training)


def _give(layer: nn.Module, state: dict[str, Tensor], device: torch.device) -> None:
    """Copies of these tensors as a new layer's own, in a fifth of `load_state_dict`'s time."""
    for place, part in layer.named_modules():
        start = f"{place}." if place else ""
        for name, _ in list(part.named_parameters(recurse=False)):
            value = state[start + name].clone(memory_format=torch.contiguous_format)
            setattr(part, name, nn.Parameter(value))
        for name, _ in list(part.named_buffers(recurse=False)):
            if name == "num_batches_tracked":
                value = torch.zeros((), dtype=torch.long, device=device)
            else:
                value = state[start + name].clone(memory_format=torch.contiguous_format)
            setattr(part, name, value)
