"""What a call from Python was given, held against its rules before anything is done.

A rule takes a value and gives it back as it is used: a whole number written as ``3e3`` is one.
"""

import functools
import inspect
import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError

__all__ = [
    "Rule",
    "called",
    "checked",
    "flag",
    "held_to",
    "kind",
    "listed",
    "mapped",
    "number",
    "numbers",
    "optional",
    "path",
    "text",
    "told",
    "whole",
]

P = ParamSpec("P")
T = TypeVar("T")

Rule: TypeAlias = Callable[[Any], Any]
"""Gives the value as it is used; raises `ConfigError` with the rule, without the name."""


def checked(given: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Arguments as they are used.

    Args:
        given: by name.
        rules: by name, one for each.

    Raises:
        ConfigError: one line for each that breaks its rule.
    """
    found, problems, hints = {}, [], []
    for name, value in given.items():
        try:
            found[name] = rules[name](value)
        except ConfigError as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
            hints += [error.hint] * bool(error.hint)
    if problems:
        raise ConfigError(problems, hint="; ".join(dict.fromkeys(hints)))
    return found


def held_to(rules: Mapping[str, Rule]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function check its arguments, defaults too, and get them as they are used.

    Args:
        rules: by the names of its arguments, one for each.
    """

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            bound.arguments.update(checked(bound.arguments, rules))
            return function(*bound.args, **bound.kwargs)

        return call

    return wrap


def told(value: object) -> str:
    """A value of any type in a few words, such as ``'3' (str)``."""
    return f"{reprlib.repr(value)} ({type(value).__name__})"


def whole(least: int, most: float = 2**63 - 1) -> Rule:
    """A whole number within bounds; floats such as ``3e3`` and those of NumPy are some."""

    def rule(value: Any) -> int:
        real = isinstance(value, Real) and not isinstance(value, bool)
        if not real or not (isinstance(value, Integral) or float(value).is_integer()):
            raise ConfigError(f"must be a whole number, found {told(value)}")
        if value < least:
            raise ConfigError(f"must be {least} or more, found {int(value)}")
        if value > most:
            raise ConfigError(f"must be below 2**63, found {reprlib.repr(value)}")
        return int(value)

    return rule


def number(*, above: float = -np.inf) -> Rule:
    """A number above this, which may be infinite."""

    def rule(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real):
            hint = "units are for the command line: 5M is 5e6" if isinstance(value, str) else ""
            raise ConfigError(f"must be a number, found {told(value)}", hint=hint)
        try:
            found = float(value)
        except OverflowError:
            raise ConfigError(f"must be below 1e308, found {reprlib.repr(value)}") from None
        if above > -np.inf and not found > above:
            raise ConfigError(f"must be above {above:g}, found {found:g}")
        return found

    return rule


def text(value: Any) -> str:
    """Words."""
    if not isinstance(value, str):
        raise ConfigError(f"must be a text, found {told(value)}")
    return value


def path(value: Any) -> str:
    """A name or a path, as a text."""
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"must be a name or a path, found {told(value)}")
    return str(os.fspath(value))


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"must be True or False, found {told(value)}")
    return bool(value)


def called(value: Any) -> Any:
    """Something to call."""
    if not callable(value):
        raise ConfigError(f"must be a function, found {told(value)}")
    return value


def numbers(value: Any) -> npt.NDArray[np.float64]:
    """An array of numbers, or what NumPy takes for one; texts and complex numbers are none."""
    try:
        return np.asarray(value).astype(np.float64, casting="same_kind", copy=False)
    except (OverflowError, RuntimeError, TypeError, ValueError):  # also of tensors with gradients
        raise ConfigError(f"must be numbers as NumPy has them, found {told(value)}") from None


def kind(*types: type, hint: str = "") -> Rule:
    """Of one of some types.

    Args:
        types: that are allowed.
        hint: the way out.
    """
    words = " or ".join(one.__name__ for one in types)

    def rule(value: Any) -> Any:
        if isinstance(value, type) or not isinstance(value, types):
            raise ConfigError(f"must be of type {words}, found {told(value)}", hint=hint)
        return value

    return rule


def optional(of: Rule) -> Rule:
    """None, or by another rule."""
    return lambda value: None if value is None else of(value)


def listed(of: Rule, count: int | None = None) -> Rule:
    """Several of one rule, as a tuple; a text is no list of letters.

    Args:
        of: for each of them.
        count: how many there must be.
    """

    def rule(value: Any) -> tuple[Any, ...]:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            one = isinstance(value, str | int | float) and len(repr(value)) < 60
            hint = f"write [{value!r}]" if one else ""
            raise ConfigError(f"must be a list, found {told(value)}", hint=hint)
        values = value.tolist() if isinstance(value, np.ndarray) else list(value)
        if count is not None and len(values) != count:
            raise ConfigError(f"must be {count} values, found {len(values)}")
        named = {f"[{number}]": one for number, one in enumerate(values)}
        return tuple(checked(named, dict.fromkeys(named, of)).values())

    return rule


def mapped(of: Rule) -> Rule:
    """Several of one rule by name, as a dictionary."""

    def rule(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ConfigError(f"must be a dictionary with names, found {told(value)}")
        return checked(value, dict.fromkeys(value, of))

    return rule
