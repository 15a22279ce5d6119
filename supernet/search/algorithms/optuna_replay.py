"""A search that goes on with its own study: repeated in memory up to where it was stopped."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["Replay"]


class Replay:
    """Tells which study is asked and told: first one in memory, later the stored one.

    A sampler suggests by the trials that it sees. One that begins again from its seed must see
    them one by one, as it did before, and the stored study has them all at once. So the search is
    repeated on an empty study in memory (what was measured is looked up), until both have the same
    trials. Where they part, since others wrote to the stored one, it goes on there at once.

    Args:
        stored: with the trials from before.
        memory: an empty one with the same sampler, one of those that there are by name.
    """

    def __init__(self, stored: "Study", memory: "Study") -> None:
        self.study = memory
        """The one of this moment."""
        self._stored, self._past, self._same = stored, stored.get_trials(deepcopy=False), 0
        if not self._past:
            self.study = stored

    @property
    def repeats(self) -> bool:
        """Whether what happens has happened before."""
        return self.study is not self._stored

    def step(self) -> frozenset[int] | None:
        """Go over to the stored study where it is reached; called before each ask and tell.

        Returns:
            The numbers of trials at work that the stored study has too, where it goes over.
        """
        if not self.repeats:
            return None
        made = self.study.get_trials(deepcopy=False)
        while self._same < len(made) and made[self._same].state.is_finished():
            known = self._past[self._same : self._same + 1]
            if not known or not _equal(made[self._same], known[0]):
                return self._over(made)
            self._same += 1
        rest, past = made[self._same :], self._past[self._same :]
        alike = [one.params == other.params for one, other in zip(rest, past)]
        same = [one.state for one in rest] == [other.state for other in past]
        if len(rest) > len(past) or not all(alike) or same:
            return self._over(made)
        return None

    def _over(self, made: "list[FrozenTrial]") -> frozenset[int]:
        """Go on with the stored study; what was being suggested there when it ended has failed."""
        self.study = self._stored
        _unbind(self._stored.sampler)
        kept = set()
        for one, other in zip(made[self._same :], self._past[self._same :]):
            if one.state.is_finished() or other.state.is_finished():
                continue
            if one.params == other.params:
                kept.add(other.number)
            elif one.params.items() >= other.params.items():  # its process ended on the way
                states = type(other.state)
                self._stored.tell(other.number, state=states.FAIL)
        return frozenset(kept)


def _unbind(sampler: "BaseSampler") -> None:
    """Let a sampler forget which study it has looked through."""
    from optuna.search_space import IntersectionSearchSpace

    for name, part in vars(sampler).items():
        if isinstance(part, IntersectionSearchSpace):
            setattr(sampler, name, IntersectionSearchSpace())


def _equal(one: "FrozenTrial", other: "FrozenTrial") -> bool:
    """Whether two trials that ended say the same."""
    same = one.state == other.state and one.params == other.params
    return bool(same and one.values == other.values)
