"""Arguments of calls from Python: taken as they are meant, refused by name and rule."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.arguments import (
    Rule,
    called,
    checked,
    flag,
    kind,
    listed,
    mapped,
    number,
    optional,
    path,
    text,
    whole,
)
from supernet.errors import ConfigError
from supernet.search import api as search_api
from supernet.search.arguments import RULES
from supernet.tune import api as tune_api


@pytest.mark.parametrize(
    ("rule", "given", "used"),
    [
        (whole(1), 3, 3),
        (whole(1), 3e3, 3000),
        (whole(1), np.int64(3), 3),
        (whole(1), np.float32(3), 3),
        (whole(0, math.inf), 2**200, 2**200),
        (number(), np.float32(0.5), 0.5),
        (number(above=0), math.inf, math.inf),
        (optional(whole(1)), None, None),
        (listed(whole(1)), [8, 16.0], (8, 16)),
        (listed(whole(1)), np.array([8, 16]), (8, 16)),
        (listed(whole(1)), range(1, 3), (1, 2)),
        (listed(text), (), ()),
        (mapped(number()), {"macs": 3}, {"macs": 3.0}),
        (path, Path("a/b"), "a/b"),
        (flag, np.True_, True),
    ],
)
def test_what_is_meant_is_taken(rule: Rule, given: Any, used: Any) -> None:
    found = checked({"it": given}, {"it": rule})["it"]
    assert (found, type(found)) == (used, type(used))


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (whole(1), "3", r"it: must be a whole number, found '3' \(str\)"),
        (whole(1), 2.5, r"it: must be a whole number, found 2.5 \(float\)"),
        (whole(1), True, r"it: must be a whole number, found True \(bool\)"),
        (whole(1), None, r"it: must be a whole number, found None \(NoneType\)"),
        (whole(1), math.nan, "it: must be a whole number, found nan"),
        (whole(1), math.inf, "it: must be a whole number, found inf"),
        (whole(1), 0, "it: must be 1 or more, found 0"),
        (whole(1), 10**400, r"it: must be below 2\*\*63, found 1000"),
        (number(), "5M", r"it: must be a number, found '5M' \(str\)"),
        (number(), False, "it: must be a number, found False"),
        (number(), 10**400, "it: must be below 1e308, found 1000"),
        (number(above=0), math.nan, "it: must be above 0, found nan"),
        (text, b"a", "it: must be a text"),
        (path, 3, "it: must be a name or a path, found 3"),
        (flag, 1, "it: must be True or False, found 1"),
        (called, 3, "it: must be a function, found 3"),
        (kind(Path, str), 3, r"it: must be of type Path or str, found 3 \(int\)"),
        (kind(Path), Path, "it: must be of type Path, found <class"),
        (listed(text), "ab", r"it: must be a list, found 'ab' \(str\)"),
        (listed(text), 3, "it: must be a list, found 3"),
        (listed(text), ["a", 3], r"it: \[1\]: must be a text, found 3"),
        (listed(whole(1), count=2), [1], "it: must be 2 values, found 1"),
        (mapped(number()), {"macs": "5M"}, "it: macs: must be a number, found '5M'"),
        (mapped(number()), {3: 4}, "it: must be a dictionary with names"),
        (mapped(number()), ["macs"], "it: must be a dictionary with names"),
    ],
)
def test_what_breaks_a_rule_is_named(rule: Rule, given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        checked({"it": given}, {"it": rule})


def test_all_that_is_wrong_is_told_at_once_with_the_ways_out() -> None:
    rules = {"one": whole(1), "two": listed(text), "three": mapped(number())}
    with pytest.raises(ConfigError) as caught:
        checked({"one": 0, "two": "macs", "three": {"macs": "5M"}}, rules)
    assert len(caught.value.problems) == 3
    assert caught.value.hint == "write ['macs']; units are for the command line: 5M is 5e6"


@pytest.mark.parametrize(
    ("function", "rules"), [(search_api.search, RULES), (tune_api.tune, tune_api.RULES)]
)
def test_every_argument_has_a_rule_that_its_default_keeps(
    function: Callable[..., Any], rules: dict[str, Rule]
) -> None:
    parameters = inspect.signature(function).parameters
    assert list(rules) == list(parameters)
    usual = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
    assert checked(usual, rules) == usual
