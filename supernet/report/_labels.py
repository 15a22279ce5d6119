"""Where the names of a few markers go, so that they cover each other and little else."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Box", "Label", "place"]

_CHARACTER, _LINE = 11.5, 20.0
"""Size of a character in the plot, generous: on a phone its text is drawn larger."""
_GAP = 14.0


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share any area."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: "Box") -> bool:
        """Whether `other` lies inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


class Label(NamedTuple):
    """Where a text is anchored: ``start``, ``middle`` or ``end``."""

    x: float
    y: float
    anchor: str
    box: Box


def _candidates(x: float, y: float, length: int) -> list[Label]:
    """Places around a marker, best first; `y` of a label is its middle."""
    width = length * _CHARACTER
    found = []
    for dy in (0.0, -_LINE * 0.8, _LINE * 0.8):
        near = _GAP if dy == 0 else _GAP * 0.7
        for anchor, lx, left in (
            ("start", x + near, x + near),
            ("end", x - near, x - near - width),
        ):
            top = y + dy - _LINE / 2
            found.append(Label(lx, y + dy, anchor, Box(left, top, left + width, top + _LINE)))
    for dy in (-_LINE * 1.2, _LINE * 1.2):
        top = y + dy - _LINE / 2
        box = Box(x - width / 2, top, x + width / 2, top + _LINE)
        found.append(Label(x, y + dy, "middle", box))
    return found


def place(
    spots: Sequence[tuple[float, float]],
    texts: Sequence[str],
    *,
    inside: Box,
    avoid: Sequence[tuple[float, float]],
) -> list[Label]:
    """One label per marker, chosen in turn to cost least.

    Covering a marker or a label costs most, then leaving `inside`, then each point
    of `avoid` that is covered.
    """
    taken = [Box(x - 9, y - 9, x + 9, y + 9) for x, y in spots]
    labels = []
    for (x, y), text in zip(spots, texts, strict=True):
        best = min(
            _candidates(x, y, len(text)),
            key=lambda label: _cost(label.box, taken, inside, avoid),
        )
        taken.append(best.box)
        labels.append(best)
    return labels


def _cost(
    box: Box, taken: Sequence[Box], inside: Box, avoid: Sequence[tuple[float, float]]
) -> float:
    covered = sum(box.left < x < box.right and box.top < y < box.bottom for x, y in avoid)
    return (
        1000 * sum(box.overlaps(other) for other in taken) + 500 * (not inside.holds(box)) + covered
    )
