"""When which phase trains, with which learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from supernet.train.recipe import Phase

__all__ = ["Stretch", "plan"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase with its place in the whole training."""

    phase: Phase
    start: int
    """Steps done before it."""
    steps: int
    warmup: int
    """Of them with a rising learning rate."""

    @property
    def end(self) -> int:
        """Steps done after it."""
        return self.start + self.steps

    def lr(self, step: int) -> float:
        """Learning rate of a step of the whole training."""
        done = step - self.start
        if done < self.warmup:
            return self.phase.lr * (done + 1) / self.warmup
        share = (done - self.warmup) / max(1, self.steps - self.warmup)
        low, high = self.phase.lr_end, self.phase.lr
        return low + (high - low) * 0.5 * (1 + math.cos(math.pi * share))


def plan(phases: Sequence[Phase], steps_per_epoch: int) -> list[Stretch]:
    """The phases one after another."""
    stretches: list[Stretch] = []
    for phase in phases:
        start = stretches[-1].end if stretches else 0
        steps = max(1, round(phase.epochs * steps_per_epoch))
        stretches.append(Stretch(phase, start, steps, round(phase.warmup_epochs * steps_per_epoch)))
    return stretches
