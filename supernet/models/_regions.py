"""A graph as a line of steps, in which whatever branches is one item with two arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from supernet.errors import ConfigError
from supernet.models.tracing import Graph, Step

__all__ = ["Item", "Region", "line_of", "unfit"]

_WORDS = {
    "cat": "concatenates channels",
    "split": "splits channels",
    "chunk": "splits channels",
    "native_layer_norm": "is a layer norm",
    "native_group_norm": "is a group norm",
    "mul": "multiplies",
    "gelu": "is a GELU",
    "permute": "permutes dimensions",
}
_ATTENDS = {"bmm": "multiplies activations", "_softmax": "is a softmax"}
_HYBRID = (
    "the space mobilenet_v4_hybrid has it: supernet train --space mobilenet_v4_hybrid --init "
    "timm:mobilenetv4_hybrid_medium"
)


@dataclass(frozen=True, slots=True)
class Region:
    """Two paths from one step that one step reads again."""

    join: Step
    arms: tuple[list["Item"], list["Item"]]


Item: TypeAlias = Step | Region


def unfit(step: Step, why: str = "") -> ConfigError:
    """That a layer is of no kind known here."""
    op = step.op.partition(".")[0]
    if not why and op in _ATTENDS:
        return ConfigError(
            f"{step.layer} {_ATTENDS[op]}: attention is not recognised in networks", hint=_HYBRID
        )
    what = why or _WORDS.get(op, f"is an operation {step.op!r}")
    return ConfigError(
        f"{step.layer} {what}: no kind of block has that",
        hint="docs/any_cnn.md lists what converts, docs/architecture.md how a kind of your own is "
        "made: a file of 20 lines",
    )


def line_of(graph: Graph) -> list[Item]:
    """The whole graph.

    Raises:
        ConfigError: it branches in another way, or uses a weight twice.
    """
    _check_once(graph)
    return _Line(graph).items(0, None)


def _check_once(graph: Graph) -> None:
    readers: dict[str, Step] = {}
    for step in graph.steps:
        for weight in step.weights:
            if weight in readers:
                first = readers[weight].layer
                where = f"{first} runs twice" if first == step.layer else f"so does {first}"
                raise ConfigError(
                    f"{step.layer} uses the weights {weight}, and {where}: the network shares "
                    "weights between layers",
                    hint="every layer of a space has weights of its own",
                )
            readers[weight] = step


class _Line:
    def __init__(self, graph: Graph) -> None:
        self._steps, self._readers = graph.steps, graph.readers()
        self._joins = _joins(self._readers)

    def items(self, start: int, stop: int | None) -> list[Item]:
        """What comes behind the step `start` and before the step `stop`."""
        found: list[Item] = []
        while readers := self._readers[start]:
            if len(readers) == 1:
                (start,) = readers
                if start == stop:
                    break
                if len(self._steps[start].reads) > 1:
                    raise unfit(self._steps[start])
                found.append(self._steps[start])
                continue
            join = self._joins[start]
            if join == stop or len(readers) > 2:
                raise unfit(self._widest(readers, join))
            found.append(self._region(readers, join))
            start = join
        return found

    def _region(self, readers: Sequence[int], join: int) -> Region:
        step = self._steps[join]
        first, second = (self._arm(reader, join) for reader in readers)
        if len(step.reads) != 2:
            raise unfit(step)
        return Region(step, (first, second))

    def _arm(self, reader: int, join: int) -> list[Item]:
        if reader == join:
            return []
        if len(self._steps[reader].reads) > 1:
            raise unfit(self._steps[reader])
        return [self._steps[reader], *self.items(reader, join)]

    def _widest(self, readers: Sequence[int], join: int) -> Step:
        """The step to name where paths meet in no way that is known: one that reads several."""
        several = [r for r in readers if len(self._steps[r].reads) > 1]
        return self._steps[min(several, default=join)]


def _joins(readers: list[list[int]]) -> list[int]:
    """For each step the first that all paths from it lead through; the output leads to itself."""
    found = list(range(len(readers)))
    for number in reversed(range(len(readers) - 1)):
        first, *others = readers[number]
        for other in others:
            first = _common(found, first, other)
        found[number] = first
    return found


def _common(joins: list[int], first: int, second: int) -> int:
    """Where the ways of two steps meet."""
    while first != second:
        if first < second:
            first = joins[first]
        else:
            second = joins[second]
    return first
