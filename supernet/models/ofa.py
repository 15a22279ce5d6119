"""Once-for-All supernets (arXiv:1908.09791) become ours: weights under other names.

The spaces `mobilenet_v3`, `mobilenet_v3_w1.2` and `proxyless` are OFA's, so nothing has
to be converted but names; every subnet then computes what OFA's own code computes.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from supernet.errors import FileFormatError
from supernet.models.supernet import Supernet
from supernet.space import Space
from supernet.space.layout import layout_of

__all__ = ["load_ofa", "rename_ofa"]

# OFA's names (of both generations, elastic and plain) and ours; `S` stands for the slot,
# W for the wrapper that elastic layers had around the plain ones
_W = r"(?:conv\.)?(weight)"
_N = r"(?:bn\.)?(\w+)"
_NAMES = [
    (r"first_conv\.conv\.(weight)", r"stem.conv.\1"),
    (r"first_conv\.bn\.(\w+)", r"stem.norm.\1"),
    (rf"S\.inverted_bottleneck\.conv\.{_W}", r"S.expand.conv.\1"),
    (rf"S\.inverted_bottleneck\.bn\.{_N}", r"S.expand.norm.\1"),
    (rf"S\.depth_conv\.conv\.{_W}", r"S.depthwise.conv.\1"),
    (r"S\.depth_conv\.conv\.(\d+to\d+)_matrix", r"S.depthwise.conv.transforms.\1"),
    (rf"S\.depth_conv\.bn\.{_N}", r"S.depthwise.norm.\1"),
    (r"S\.depth_conv\.se\.fc\.(reduce|expand)\.(weight|bias)", r"S.se.\1.\2"),
    (rf"S\.point_linear\.conv\.{_W}", r"S.project.conv.\1"),
    (rf"S\.point_linear\.bn\.{_N}", r"S.project.norm.\1"),
    (r"final_expand_layer\.conv\.(weight)", r"head_conv.conv.\1"),
    (r"final_expand_layer\.bn\.(\w+)", r"head_conv.norm.\1"),
    (r"classifier\.linear\.(?:linear\.)?(weight|bias)", r"head_classifier.\1"),
    # ResNet50-D
    (rf"input_stem\.0\.conv\.{_W}", r"stem.conv.\1"),
    (rf"input_stem\.0\.bn\.{_N}", r"stem.norm.\1"),
    (rf"input_stem\.1\.conv\.conv\.{_W}", r"stem_block1.conv.\1"),
    (rf"input_stem\.1\.conv\.bn\.{_N}", r"stem_block1.norm.\1"),
    (rf"input_stem\.2\.conv\.{_W}", r"stem_out.conv.\1"),
    (rf"input_stem\.2\.bn\.{_N}", r"stem_out.norm.\1"),
    (rf"S\.conv1\.conv\.{_W}", r"S.reduce.conv.\1"),
    (rf"S\.conv1\.bn\.{_N}", r"S.reduce.norm.\1"),
    (rf"S\.conv2\.conv\.{_W}", r"S.conv.conv.\1"),
    (rf"S\.conv2\.bn\.{_N}", r"S.conv.norm.\1"),
    (rf"S\.conv3\.conv\.{_W}", r"S.project.conv.\1"),
    (rf"S\.conv3\.bn\.{_N}", r"S.project.norm.\1"),
    (rf"S\.downsample\.conv\.{_W}", r"S.shortcut.conv.\1"),
    (rf"S\.downsample\.bn\.{_N}", r"S.shortcut.norm.\1"),
]
_FEATURE_MIX = {  # after the pooling in MobileNetV3, before it in ProxylessNAS
    True: [(r"feature_mix_layer\.conv\.(weight)", r"head_features.\1")],
    False: [
        (r"feature_mix_layer\.conv\.(weight)", r"head_conv.conv.\1"),
        (r"feature_mix_layer\.bn\.(\w+)", r"head_conv.norm.\1"),
    ],
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(?:(?:mobile_inverted_conv|conv)\.)?")


def rename_ofa(state: Mapping[str, Tensor], space: Space) -> dict[str, Tensor]:
    """The tensors of an OFA supernet under our names.

    Raises:
        FileFormatError: a name that OFA's networks do not have.
    """
    blocks = [slot.name for slot in layout_of(space).slots if slot.name.startswith("stage")]
    rules = [*_NAMES, *_FEATURE_MIX[bool(space.head.features)]]
    renamed = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        block = _BLOCK.match(name)
        number = int(block.group(1)[:6]) if block else 0
        if number >= len(blocks):
            raise FileFormatError(f"{name}: the space {space.name!r} has {len(blocks)} blocks")
        slot = blocks[number].replace(".", "_")
        ours = _renamed("S." + name[block.end() :] if block else name, rules)
        if ours is None:
            raise FileFormatError(f"{name[:80]!r}: not a name of Once-for-All's networks")
        target = "slots." + ours.replace("S.", f"{slot}.", 1)
        # linear layers were once written as 1x1 convolutions
        renamed[target] = value.flatten(1) if ours == "head_features.weight" else value
    return renamed


def _renamed(name: str, rules: list[tuple[str, str]]) -> str | None:
    for pattern, ours in rules:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    return None


def load_ofa(path: Path, supernet: Supernet) -> None:
    """Put the weights of an OFA checkpoint into a supernet of the same space.

    Only tensors are read (``weights_only=True``): a file that holds code is refused.

    Raises:
        FileFormatError: not a checkpoint, or of another space.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on old formats
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # damaged bytes make the reader raise anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise FileFormatError(f"{path}: not a checkpoint that is safe to load: {reason}") from None
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise FileFormatError(f"{path}: expected named tensors, or these under 'state_dict'")
    renamed, own = rename_ofa(state, supernet.space), supernet.state_dict()
    wrong = sorted(renamed.keys() ^ own.keys())
    wrong += [name for name in own if name in renamed and own[name].shape != renamed[name].shape]
    if wrong:
        raise FileFormatError(
            f"{path}: not of space {supernet.space.name!r} with {supernet.space.num_classes} "
            f"classes: {len(wrong)} tensors differ, the first is {wrong[0]}"
        )
    supernet.load_state_dict(renamed)
