"""What a study varies: parameters with their values and conditions, as frozen values."""

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from supernet.errors import ConfigError

__all__ = ["Kind", "Measured", "Parameter", "Study", "Value", "label_of"]

Value: TypeAlias = bool | int | float | str | None
Kind: TypeAlias = Literal["auto", "float", "int"]
Measured: TypeAlias = Literal["largest", "smallest", "mean"]

_MOST_CHOICES = 256


def label_of(choice: Any) -> Value:
    """How a category is named: as it is, or as JSON where it is a list or a mapping."""
    if choice is None or isinstance(choice, bool | int | float | str):
        return choice
    return json.dumps(choice, sort_keys=True)


def _is_plain(value: Any) -> bool:
    """Whether a value can be written as JSON: no dates, no circles, nothing infinite."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One thing that varies: `choices`, or a range from `low` to `high`."""

    key: tuple[str, ...] = ()
    """Keys of the recipe or the space that take the value, such as ``recipe.phases.*.lr``;
    the parameter's name when not given. A name without a dot and without a key is a switch,
    there for the conditions of others."""
    choices: tuple[Any, ...] = ()
    """The values of a category; lists and mappings too."""
    type: Kind = "auto"
    """Of a range: ``float`` or ``int``; that of the key when not given."""
    low: float | None = None
    """Lowest value of the range."""
    high: float | None = None
    """Highest value of the range, itself included."""
    log: bool = False
    """Whether the logarithm is spread evenly."""
    step: float | None = None
    """Distance of the values of a range; 1 for integers when not given."""
    scale: bool = False
    """Whether values are factors of what the recipe says, 1 for no change."""
    when: dict[str, Any] = field(default_factory=dict)
    """Values of other parameters, one or a list, under which this one is there."""

    def __post_init__(self) -> None:
        problems = [
            f"{where}: must be plain values, found {reprlib.repr(value)}"
            for where, value in (("choices", self.choices), ("when", self.when))
            if not _is_plain(value)
        ]
        problems = problems or (self._choice_problems() if self.choices else self._range_problems())
        if problems:
            raise ConfigError(problems)

    @property
    def labels(self) -> tuple[Value, ...]:
        """The names of the choices."""
        return tuple(label_of(choice) for choice in self.choices)

    def needed(self, name: str) -> tuple[Value, ...]:
        """The values of another parameter under which this one is there."""
        values = self.when[name]
        found = values if isinstance(values, list | tuple) else [values]
        return tuple(label_of(value) for value in found)

    def _choice_problems(self) -> list[str]:
        given = [name for name in ("low", "high", "step") if getattr(self, name) is not None]
        given += [name for name in ("log", "scale") if getattr(self, name)]
        problems = [f"{name}: belongs to a range, not to choices" for name in given]
        if self.type != "auto":
            problems.append("type: belongs to a range, not to choices")
        labels = [(type(label), label) for label in self.labels]
        if len(set(labels)) < len(labels):
            problems.append(f"choices: must differ, found {list(self.choices)}")
        if len(labels) > _MOST_CHOICES:
            problems.append(f"choices: at most {_MOST_CHOICES}, found {len(labels)}")
        return problems

    def _range_problems(self) -> list[str]:
        if self.low is None or self.high is None:
            return ["low, high: both are needed where there are no choices"]
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return [f"low, high: must be finite, found {self.low:g} and {self.high:g}"]
        problems = []
        if self.low >= self.high:
            problems.append(
                f"low: must be below high, found {self.low:g} and {self.high:g}; "
                "choices: [...] holds single values"
            )
        if self.log and self.low <= 0:
            problems.append(f"low: must be above 0 where log is true, found {self.low:g}")
        if self.type == "int" and (self.low % 1 or self.high % 1):
            problems.append(f"low, high: must be whole, found {self.low:g} and {self.high:g}")
        problems += self._step_problems() if self.step is not None else []
        return problems

    def _step_problems(self) -> list[str]:
        assert self.step is not None
        assert self.low is not None
        assert self.high is not None
        if self.log:
            return ["step: has no meaning where log is true"]
        if not 0 < self.step <= self.high - self.low:
            return [f"step: must be above 0 and at most high - low, found {self.step:g}"]
        if self.type == "int" and self.step % 1:
            return [f"step: must be whole, found {self.step:g}"]
        steps = (self.high - self.low) / self.step
        if abs(steps - round(steps)) > 1e-9 * steps:
            return [f"step: {self.step:g} does not lead from {self.low:g} to {self.high:g}"]
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What varies, and what is measured of a trial."""

    name: str
    """Of the study in its storage, and of its folder."""
    about: str = ""
    """One line for a reader."""
    subnet: Measured = "largest"
    """Whose accuracy on the held-out images is maximised: of the largest subnet, of the
    smallest, or the mean of both and three random ones."""
    genes: bool = False
    """Whether each trial trains a single network, which the study chooses from the space."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What varies, by name; of parameters of one key the later one wins."""

    def __post_init__(self) -> None:
        problems = []
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            problems.append(f"name: must be letters, digits, '_' or '-', found {self.name!r}")
        if not self.parameters and not self.genes:
            problems.append("parameters: nothing varies; name keys, or set genes: true")
        if problems:
            raise ConfigError(problems)
