"""Which parameters depend on which: conditions form no circle and name what is there."""

from collections.abc import Mapping, Sequence

from supernet.files import nearest
from supernet.tune.spec import Parameter, Value

__all__ = ["in_order", "is_active", "order_problems"]

_SAME = 1e-9  # of a step


def in_order(parameters: Mapping[str, Parameter]) -> list[str]:
    """The names, each after those that it depends on, else as they stand.

    What depends on itself is left out, see `order_problems`.
    """
    done: list[str] = []
    left = list(parameters)
    while left:
        ready = next((n for n in left if set(parameters[n].when) <= set(done)), None)
        if ready is None:
            break
        done.append(ready)
        left.remove(ready)
    return done


def is_active(parameter: Parameter, values: Mapping[str, Value]) -> bool:
    """Whether a parameter is there beside these values of the ones it depends on."""
    return all(
        name in values and _among(values[name], parameter.needed(name)) for name in parameter.when
    )


def order_problems(parameters: Mapping[str, Parameter], known: Sequence[str]) -> list[str]:
    """One line for each condition that can never be met, and for each circle.

    Args:
        parameters: those that were read.
        known: names of all that the file has.
    """
    problems = []
    for name, parameter in parameters.items():
        for other in parameter.when:
            where = f"parameters.{name}.when.{other}"
            if other not in known:
                problems.append(f"{where}: no such parameter; {nearest(other, known)}")
            elif other in parameters:
                problems += _value_problems(where, parameter.needed(other), parameters[other])
    named = {n: p for n, p in parameters.items() if set(p.when) <= set(parameters)}
    circle = sorted(set(named) - set(in_order(parameters)))
    if circle and len(named) == len(parameters):
        problems.append(f"parameters: {', '.join(circle)} depend on each other in a circle")
    return problems


def _value_problems(where: str, needed: Sequence[Value], other: Parameter) -> list[str]:
    if not needed:
        return [f"{where}: needs a value"]
    if other.choices:
        wrong = [value for value in needed if not _among(value, other.labels)]
        known = [str(label) for label in other.labels]
        return [
            f"{where}: {value!r} is not among its choices; {nearest(str(value), known)}"
            for value in wrong
        ]
    if other.type == "float" or (other.step is None and other.log and other.type != "int"):
        return [f"{where}: a condition names values, and it is a range of floats"]
    return [
        f"{where}: {value!r} is none of its range from {other.low:g} to {other.high:g}"
        + (f" in steps of {other.step:g}" if other.step else "")
        for value in needed
        if isinstance(value, str | bool | None) or not _within(value, other)
    ]


def _within(value: float, parameter: Parameter) -> bool:
    assert parameter.low is not None
    assert parameter.high is not None
    if not parameter.low <= value <= parameter.high:
        return False
    step = parameter.step or (1 if parameter.type == "int" else None)
    steps = (value - parameter.low) / step if step and not parameter.log else 0
    return abs(steps - round(steps)) < _SAME


def _among(value: Value, values: Sequence[Value]) -> bool:
    """Whether a value is there, true and 1 being different things."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)
