"""Once-for-All supernets (arXiv:1908.09791) become ours: weights under other names.

The spaces are OFA's, so nothing has to be converted but names; every subnet then
computes what OFA's own code computes.
"""

import contextlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from supernet.errors import FileFormatError
from supernet.models._unfilled import Unfilled
from supernet.models.supernet import Supernet
from supernet.models.weights import load_tensors
from supernet.space import Space, load_space
from supernet.space.layout import layout_of

__all__ = ["OFA_SPACES", "load_ofa", "ofa_supernet", "rename_ofa"]

OFA_SPACES = ("mobilenet_v3", "mobilenet_v3_w1.2", "proxyless", "proxyless_w1.0", "resnet50")
"""The presets that are Once-for-All's spaces."""

_MOST_CLASSES = 65536
_CLASSIFIER = r"classifier\.linear\.(?:linear\.)?weight"

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
_TRANSFORM = re.compile(r".+\.conv\.transforms\.\d+to\d+")
_BLOCK = re.compile(r"blocks\.(\d{1,6})\.(?:(?:mobile_inverted_conv|conv)\.)?")


def rename_ofa(state: Mapping[str, Tensor], space: Space) -> dict[str, Tensor]:
    """The tensors of an OFA supernet under our names.

    Raises:
        FileFormatError: a name that OFA's networks do not have.
    """
    blocks = [slot.name for slot in layout_of(space).slots if slot.place.stage]
    rules = [*_NAMES, *_FEATURE_MIX[bool(space.head.features)]]
    renamed = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        block = _BLOCK.match(name)
        number = int(block.group(1)) if block else 0
        if number >= len(blocks):
            raise FileFormatError(
                f"{name[:80]!r}: the space {space.name!r} has {len(blocks)} blocks"
            )
        slot = blocks[number].replace(".", "_")
        ours = _renamed("S." + name[block.end() :] if block else name, rules)
        if ours is None:
            raise FileFormatError(f"{name[:80]!r}: not a name of Once-for-All's networks")
        target = "slots." + ours.replace("S.", f"{slot}.", 1)
        if target in renamed:
            raise FileFormatError(f"{name[:80]!r}: there is another tensor for {target[:80]!r}")
        # linear layers were once written as 1x1 convolutions
        once = ours == "head_features.weight" and value.ndim == 4
        renamed[target] = value.flatten(1) if once else value
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
    _put(path, load_tensors(path), supernet)


def ofa_supernet(path: Path, space: Space | None = None) -> Supernet:
    """The supernet of an OFA checkpoint, with as many classes as it has.

    Args:
        path: of the checkpoint.
        space: that it is of; found out by the shapes of its tensors where not given.

    Raises:
        FileFormatError: not a checkpoint, or of another space.
    """
    state = load_tensors(path)
    outputs = [v.shape[0] for n, v in state.items() if re.fullmatch(_CLASSIFIER, n) and v.ndim]
    classes = outputs[0] if outputs else 0
    if not 2 <= classes <= _MOST_CLASSES:
        raise FileFormatError(
            f"{path}: not a network of Once-for-All: expected a classifier of 2 to "
            f"{_MOST_CLASSES} classes, found {classes}",
            hint="an accuracy predictor comes in by --accuracy-predictor",
        )
    found = _space_of(state, classes)
    if space is not None and found is not None and found.hash != space.hash:
        raise FileFormatError(
            f"{path}: of space {found.name!r}, not of {space.name!r}", hint="leave out --space"
        )
    space = space or found
    if space is None:
        raise FileFormatError(
            f"{path}: its tensors fit none of the spaces {', '.join(OFA_SPACES)}",
            hint="name its space with --space, a preset or a YAML file of your own",
        )
    supernet = Supernet(space, num_classes=classes)
    _put(path, state, supernet)
    return supernet


def _space_of(state: Mapping[str, Tensor], classes: int) -> Space | None:
    """The shipped space whose supernet has tensors of these names and shapes."""
    for name in OFA_SPACES:
        with contextlib.suppress(FileFormatError):
            if not _differing(state, _without_values(name, classes)):
                return load_space(name)
    return None


@lru_cache(maxsize=len(OFA_SPACES))
def _without_values(name: str, classes: int) -> Supernet:
    """Names and shapes of a shipped space's supernet, made once for many checkpoints."""
    with Unfilled():
        return Supernet(load_space(name), num_classes=classes)


def _put(path: Path, state: Mapping[str, Tensor], supernet: Supernet) -> None:
    try:
        wrong = _differing(state, supernet)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None
    if wrong:
        raise FileFormatError(
            f"{path}: not of space {supernet.space.name!r} with {supernet.space.num_classes} "
            f"classes: {len(wrong)} tensors differ, the first is {wrong[0][:120]}"
        )
    values = _needed(state, supernet)
    damaged = [name for name, value in values.items() if not value.isfinite().all()]
    if damaged:
        raise FileFormatError(f"{path}: {damaged[0]} holds values that are not finite")
    supernet.load_state_dict(values)


def _needed(state: Mapping[str, Tensor], supernet: Supernet) -> dict[str, Tensor]:
    """The renamed tensors, without matrices to kernels that the space has not.

    A network whose kernels were fixed keeps those of the one that it was cut from. Where
    kernels are cropped, a matrix says that they were trained otherwise, and stays.
    """
    space = supernet.space
    renamed, own = rename_ofa(state, space), supernet.state_dict()
    if space.kernel_transform == "crop" and any(len(stage.kernel) > 1 for stage in space.stages):
        return renamed
    return {n: v for n, v in renamed.items() if n in own or not _TRANSFORM.fullmatch(n)}


def _differing(state: Mapping[str, Tensor], supernet: Supernet) -> list[str]:
    """Names of the supernet's tensors that the state lacks, or has in another shape.

    Raises:
        FileFormatError: a name that OFA's networks of this space do not have.
    """
    renamed, own = _needed(state, supernet), supernet.state_dict()
    wrong = sorted(renamed.keys() ^ own.keys())
    return wrong + [n for n in own if n in renamed and own[n].shape != renamed[n].shape]
