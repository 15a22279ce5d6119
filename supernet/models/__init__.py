"""The supernet, and the plain networks extracted from it."""

from supernet.models._unfilled import Unfilled
from supernet.models.backbone import Backbone, FeatureInfo, backbone_of
from supernet.models.joints import Add, Pool, WindowPool
from supernet.models.network import (
    Attention,
    Chain,
    Concat,
    ConvBlock,
    ConvNorm,
    Linear,
    Network,
    SamePad,
    Scale,
    Shortcut,
    SqueezeExcite,
)
from supernet.models.pretrained import Taken, load_pretrained, load_shared
from supernet.models.published import network_channels, network_classes
from supernet.models.sorting import sort_channels
from supernet.models.sources import open_network
from supernet.models.supernet import Supernet, extract
from supernet.models.weights import load_weights, save_weights

__all__ = [
    "Add",
    "Attention",
    "Backbone",
    "Chain",
    "Concat",
    "ConvBlock",
    "ConvNorm",
    "FeatureInfo",
    "Linear",
    "Network",
    "Pool",
    "SamePad",
    "Scale",
    "Shortcut",
    "SqueezeExcite",
    "Supernet",
    "Taken",
    "Unfilled",
    "WindowPool",
    "backbone_of",
    "extract",
    "load_pretrained",
    "load_shared",
    "load_weights",
    "network_channels",
    "network_classes",
    "open_network",
    "save_weights",
    "sort_channels",
]
