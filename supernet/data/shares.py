"""Images cut from others by what they hold, so that others stay where they are.

Every image has a number from 0 to 1 that depends on its content and a salt alone. Those
below the share are cut. An image that comes or goes, or gets another name, moves no other;
copies of an image are never on both sides.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from supernet.data.images import HOLDOUT_IMAGES

__all__ = ["cut"]

Digests = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


def cut(
    digests: Digests,
    labels: npt.NDArray[np.int64],
    share: float,
    salt: str,
    *,
    most: int = HOLDOUT_IMAGES,
) -> Mask:
    """Which images are cut, shape ``(N,)``.

    About the share of every class; one at least where it has two or more, and never all of
    them. Where that were more than `most` in all, half the share is taken until it is not.

    Args:
        digests: of the contents, ``(N,)``.
        labels: class of each, ``(N,)``.
        share: of the images, below 1; 1 for all but for `most`.
        salt: another one gives another choice.
        most: in all, as far as every class may give one.
    """
    whole = share >= 1
    while share * len(digests) > most:
        share /= 2
    if whole and share >= 1:
        return np.ones(len(digests), dtype=bool)
    numbers = _numbers(digests, salt)
    chosen = numbers < share
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        own = numbers[members]
        if not chosen[members].any():
            chosen[members] = own == own.min()
        if chosen[members].all() and not whole:
            chosen[members] = own < own.max()
    return chosen


def _numbers(digests: Digests, salt: str) -> npt.NDArray[np.float64]:
    """From 0 to 1, by the finaliser of SplitMix64."""
    key = hashlib.blake2b(salt.encode(), digest_size=8).digest()
    mixed = digests ^ np.frombuffer(key, dtype="<u8").astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed / np.float64(2**64)
