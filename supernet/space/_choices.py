"""What choices have to be: in order, in range, known."""

from collections.abc import Sequence

__all__ = ["choice_problems", "kind_problems"]

_MAX_CHOICES = 64


def choice_problems(
    name: str,
    values: Sequence[float],
    low: float,
    high: float,
    *,
    odd: bool = False,
    none: bool = False,
) -> list[str]:
    """What breaks a rule; `none`: 0 is a choice, too."""
    if not 1 <= len(values) <= _MAX_CHOICES:
        return [f"{name}: needs 1 to {_MAX_CHOICES} choices, found {len(values)}"]
    problems = []
    if list(values) != sorted(set(values)):
        problems.append(f"{name}: choices must ascend without repeats, found {list(values)}")
    own = [value for value in values if value or not none]
    wrong = [v for v in own if not low <= v <= high or (odd and v % 2 == 0)]
    if wrong:
        rule = f"{'odd and ' if odd else ''}from {low} to {high}"
        problems.append(f"{name}: choices must be {rule}, found {wrong}")
    return problems


def kind_problems(name: str, values: Sequence[str], known: Sequence[str]) -> list[str]:
    unknown = [value for value in values if value not in known]
    if unknown:
        return [f"{name}: must be one of {', '.join(known)}; found {unknown[0]!r}"]
    if values and list(values) == sorted(set(values), key=known.index):
        return []
    return [
        f"{name}: needs at least one choice, without repeats and in the order "
        f"{', '.join(known)}; found {list(values)}"
    ]
