"""Who writes, hands on and reads the channels inside a block, found from what its parts say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from supernet.blocks import INPUT, Part

__all__ = ["Stream", "streams_of"]


@dataclass(slots=True)
class Stream:
    """Channels that keep their numbers on their way: one order serves all that is named here."""

    size: int
    """Channels of the widest form."""
    carriers: list[tuple[str, int]] = field(default_factory=list)
    """Parts that hand them on, each with the number that the first of them has there."""
    readers: list[tuple[str, str, int]] = field(default_factory=list)
    """Parts that mix them: the part, what it reads, and the number of the first channel there."""
    attended: bool = False
    """Whether an attention reads or writes them."""
    leaves: bool = False
    """Whether they are the output of the block, or a part of it."""


def streams_of(parts: Sequence[Part], widths: Mapping[str, int]) -> dict[str, Stream]:
    """The streams of a block by the parts that write them, in order; first that of `INPUT`.

    Args:
        parts: of all forms of the block, with what each reads (`supernet.blocks.linked`).
        widths: channels that each writes in the widest form, and those of `INPUT`.
    """
    found = {INPUT: Stream(widths[INPUT])}
    carried = {INPUT: [(INPUT, 0)]}  # of each part: streams, and where they start
    for part in parts:
        if part.what == "concat":
            start, carried[part.name] = 0, []
            for name in part.inputs:
                carried[part.name] += [(stream, start + own) for stream, own in carried[name]]
                start += widths[name]
        elif part.mixes or part.what == "attention":
            attends = part.what == "attention"
            for name in part.inputs:
                for stream, start in carried[name]:
                    if attends:
                        found[stream].attended = True
                    else:
                        found[stream].readers.append((part.name, name, start))
            found[part.name] = Stream(widths[part.name], attended=attends)
            carried[part.name] = [(part.name, 0)]
        else:
            carried[part.name] = carried[part.inputs[0]]
            for stream, start in carried[part.name]:
                found[stream].carriers.append((part.name, start))
    for stream, _ in carried[parts[-1].name]:
        found[stream].leaves = True
    return found
