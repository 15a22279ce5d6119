"""How test images become what a file reads, and which of its outputs tells their classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from supernet.data import Views
from supernet.errors import ConfigError
from supernet.export import OpenedModel
from supernet.export.contract import Images

__all__ = ["Feeding", "feeding_of", "reads_pixels", "with_output"]

_WHITE = 255  # of pixel values of 8 bits

Numbers: TypeAlias = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeding:
    """What images go through before a file reads them."""

    views: Views
    notes: tuple[str, ...] = ()
    """What was taken from a file of others, for the user."""


def reads_pixels(model: OpenedModel) -> bool:
    """Whether a file reads pixels from 0 to 255, and normalises them itself."""
    told = model.preprocessing.get("pixels")
    return told if isinstance(told, bool) else model.input.dtype == "uint8"


def feeding_of(
    path: Path, model: OpenedModel, own: Views, *, mean: Numbers, std: Numbers
) -> Feeding:
    """How an image becomes what the file reads: as asked, as it says, as the images say.

    Args:
        path: of the file.
        model: it, opened.
        own: views of the images, a mean for each of their channels.
        mean: that was asked for, of pixel values from 0 to 1; empty for none.
        std: likewise.

    Raises:
        ConfigError: a mean or a deviation too many, or of values that cannot be told.
    """
    facts: Mapping[str, Any] = model.preprocessing
    told = {} if mean else {"mean": _numbers(facts.get("mean"))}
    told |= {} if std else {"std": _numbers(facts.get("std"), above_zero=True)}
    notes: tuple[str, ...] = ()
    if not reads_pixels(model):
        told, notes = _from_zero_to_one(path, told, ours="frame" in facts)
    mean, std = mean or told["mean"] or own.mean, std or told["std"] or own.std
    channels = len(own.mean)
    if len(mean) != channels or len(std) != channels:
        raise ConfigError(
            f"{path}: mean and std need {channels} values each, found {len(mean)} and {len(std)}"
        )
    frame = _numbers([facts.get("frame")], above_zero=True) or (own.frame,)
    return Feeding(views=Views(mean=mean, std=std, frame=frame[0]), notes=notes)


def with_output(path: Path, model: OpenedModel, classes: int, images: Images) -> OpenedModel:
    """The file with the output that tells the classes, where it has several.

    Args:
        path: of the file.
        model: it, opened.
        classes: how many there are.
        images: some that it reads.

    Raises:
        ConfigError: it has several, of which none or more than one could be that.
    """
    maps = model.maps
    if maps is None or "output" in model.preprocessing:  # a file of this library
        return model
    images = model.input.arrange(np.repeat(images[:1], model.input.batch or 1, axis=0))
    found = maps(images)
    numbers = {k: v for k, v in found.items() if np.asarray(v).dtype.kind in "fiu"}
    fitting = [name for name, value in numbers.items() if np.size(value) == classes * len(images)]
    if len(found) == 1 or next(iter(found)) in fitting:
        return model
    if len(fitting) != 1:
        shown = ", ".join(f"{name} {list(np.shape(value))}" for name, value in found.items())
        raise ConfigError(
            f"{path}: has {len(found)} outputs, {shown}; the images have {classes} classes",
            hint="give a file whose first output, or only one of them, has a number for each class",
        )
    (name,) = fitting

    def call(images: Images) -> npt.NDArray[np.float32]:
        return np.asarray(maps(images)[name], np.float32).reshape(len(images), -1)

    return replace(model, call=call)


def _from_zero_to_one(
    path: Path, told: dict[str, Numbers], *, ours: bool
) -> tuple[dict[str, Numbers], tuple[str, ...]]:
    """What a file tells, of pixel values from 0 to 1, and what to say of it.

    Values above 1 are of pixel values up to 255, as in ``[123.675, 116.28, 103.53]``.

    Args:
        path: of the file.
        told: its mean and deviation, without what the user has given.
        ours: the file is of this library.

    Raises:
        ConfigError: one is of values up to 255, the other of values up to 1.
    """
    large = any(abs(value) > 1 for values in told.values() for value in values)
    both = all(told.values())
    mixed = any(0 < abs(value) < 1 for values in told.values() for value in values)
    if large and (mixed or not both):
        raise ConfigError(
            f"{path}: tells {_in_words(told)}, and not whether pixel values go to 1 or to {_WHITE}",
            hint="give --mean and --std, of pixel values from 0 to 1",
        )
    used = {
        name: tuple(value / _WHITE for value in values) if large else values
        for name, values in told.items()
    }
    if ours or not any(told.values()):
        return used, ()
    divided = f", of pixel values up to {_WHITE}, and divided by that" if large else ""
    return used, (f"normalised by what it tells: {_in_words(told)}{divided}",)


def _in_words(told: Mapping[str, Numbers]) -> str:
    found = [f"{name} {[round(v, 5) for v in values]}" for name, values in told.items() if values]
    return " and ".join(found)


def _numbers(told: Any, *, above_zero: bool = False) -> Numbers:
    """Numbers as our files tell them; nothing where others mean something else by that word."""
    if not isinstance(told, list):
        return ()
    for value in told:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or (above_zero and value <= 0):
            return ()
    return tuple(map(float, told))
