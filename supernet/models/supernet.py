"""The supernet: shared weights of all subnets, and plain networks taken from it."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from supernet.elastic import ElasticConvNorm, ElasticLinear, ElasticMBConv
from supernet.models.network import Network, Pool
from supernet.space import Operator, Space, Subnet, largest_subnet, operators, stage_operators

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
        self.largest = largest_subnet(self.space)
        self.slots = nn.ModuleDict(
            {
                name.replace(".", "_"): _elastic(self.space, name, operator)
                for name, operator in stage_operators(self.space, self.largest)
            }
        )
        self.dropout = 0.0
        self.activate(self.largest)

    def activate(self, subnet: Subnet) -> None:
        """Make `subnet` the one that `forward` computes.

        Raises:
            ConfigError: the subnet is not of this supernet's space.
        """
        active: list[nn.Module] = []
        for name, operator in stage_operators(self.space, subnet):
            module = self.slots[name.replace(".", "_")]
            if not isinstance(module, Pool):
                module.activate(operator)  # type: ignore[operator]  # every other slot is elastic
            active.append(module)
        self.subnet = subnet
        self.active_modules = active

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` normalised images to ``(N, classes)`` logits."""
        *body, classifier = self.active_modules
        for module in body:
            x = module(x)
        if self.training and self.dropout:
            x = F.dropout(x, self.dropout)
        logits: Tensor = classifier(x)
        return logits


def _elastic(space: Space, name: str, operator: Operator) -> nn.Module:
    if operator.op == "pool":
        return Pool()
    if operator.op == "linear":
        return ElasticLinear(operator)
    if operator.op == "conv":
        return ElasticConvNorm.of(operator, momentum=space.bn_momentum, eps=space.bn_eps)
    stage = space.stages[int(name.split(".", maxsplit=1)[0].removeprefix("stage")) - 1]
    return ElasticMBConv(
        operator, kernels=stage.kernel, momentum=space.bn_momentum, eps=space.bn_eps
    )


@torch.no_grad()
def extract(supernet: Supernet, subnet: Subnet) -> Network:
    """The plain network of `subnet` with a copy of its slice of the weights.

    It computes what the supernet computes with `subnet` active, in train and in
    eval mode; its batch norm statistics are the shared ones, so recalibrate it
    (`supernet.evaluate.recalibrate`) before use. The supernet's active subnet
    stays as it was.

    Raises:
        ConfigError: the subnet is not of this supernet's space.
    """
    space, before = supernet.space, supernet.subnet
    network = Network(
        operators(space, subnet),
        momentum=space.bn_momentum,
        eps=space.bn_eps,
        dropout=supernet.dropout,
    )
    supernet.activate(subnet)
    for elastic, layer in zip(supernet.active_modules, network.layers):
        if not isinstance(elastic, Pool):
            state = elastic.active_state()  # type: ignore[operator]  # as in activate
            for name, value in layer.state_dict(keep_vars=True).items():
                if not name.endswith("num_batches_tracked"):
                    value.copy_(state[name])
    supernet.activate(before)
    device = next(supernet.parameters()).device
    return network.to(device).train(supernet.training)
