"""Backbones: the body of a network, whose outputs are its maps at some strides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from supernet.models.network import Network, SamePad, ShortcutPool, layers_of
from supernet.space import (
    FeatureMap,
    Operator,
    Subnet,
    body_operators,
    chosen_maps,
    feature_maps,
    resized,
)

__all__ = ["Backbone", "FeatureInfo", "backbone_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureInfo:
    """What there is to know of a backbone's maps, asked as timm's ``feature_info`` is."""

    known: tuple[FeatureMap, ...]
    """All maps of the network, the finest first, also those that are no outputs."""
    out_indices: tuple[int, ...]
    """Which of them are outputs."""

    def channels(self) -> list[int]:
        """Channels of each output."""
        return [one.channels for one in self._outputs]

    def reduction(self) -> list[int]:
        """Stride of each output."""
        return [one.stride for one in self._outputs]

    def module_name(self) -> list[str]:
        """The submodule of the backbone that writes each output."""
        return [info["module"] for info in self.get_dicts()]

    def get_dicts(self) -> list[dict[str, Any]]:
        """``num_chs``, ``reduction``, ``module``, ``index`` and ``place`` of each output."""
        return [self[index] for index in self.out_indices]

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, index: int) -> dict[str, Any]:
        one = self.known[index]
        return {
            "num_chs": one.channels,
            "reduction": one.stride,
            "module": f"layers.{one.index}",
            "index": self.known.index(one),
            "place": str(one.place),
        }

    @property
    def _outputs(self) -> list[FeatureMap]:
        return [self.known[index] for index in self.out_indices]


class Backbone(nn.Module):
    """The layers of a network up to its last wanted map.

    Args:
        layers: in order; those after the last map are left out.
        feature_info: which of them write outputs.
    """

    def __init__(self, layers: Sequence[nn.Module], feature_info: FeatureInfo) -> None:
        super().__init__()
        self.feature_info = feature_info
        outputs = [feature_info.known[index] for index in feature_info.out_indices]
        self.names = tuple(one.name for one in outputs)
        """Of the outputs: ``stride8``."""
        self.ends = frozenset(one.index for one in outputs)
        """Which layers write outputs."""
        self.layers = nn.ModuleList(layers[: outputs[-1].index + 1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, C, H, W)`` normalised images to a map a stride, ``(N, c, H / s, W / s)``."""
        found = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.ends:
                found.append(x)
        return found


def backbone_of(
    network: Network,
    subnet: Subnet,
    operators: Sequence[Operator],
    features: Sequence[int],
    size: tuple[int, int] | None = None,
) -> Backbone:
    """The backbone of a plain network, with its weights and statistics.

    Without a size it takes images of any; its layers are those of `network` itself. With one
    they are made anew, for images of that size and of others that its last stride divides, if
    it divides the size: so what is exported can be of varying size.

    Args:
        network: extracted, or opened as it was published.
        subnet: that it is.
        operators: of the subnet, in network order.
        features: strides of the wanted maps.
        size: rows and columns of an image.

    Raises:
        ConfigError: the network has no map of such a stride; names those that it has.
    """
    known = feature_maps(subnet, operators)
    chosen = chosen_maps(known, features)
    info = FeatureInfo(known=known, out_indices=tuple(known.index(one) for one in chosen))
    if size is None:
        return Backbone(list(network.layers), info).train(network.training)
    body = body_operators(subnet, operators, features)
    layers = layers_of(resized(body, *size), **_norms_of(network))
    for layer, weights in zip(layers, network.layers):
        layer.load_state_dict(weights.state_dict())
        for part in layer.modules():
            if isinstance(part, SamePad | ShortcutPool):
                part.fixed = True
    return Backbone(list(layers), info).train(network.training)


def _norms_of(network: Network) -> dict[str, float]:
    """Momentum and eps of its batch norms, of which all are alike."""
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    return {"momentum": norm.momentum or 0.0, "eps": norm.eps}
