"""YAML as text: what is written reads back the same."""

import copy
import functools
import io
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["dump_yaml", "parse_yaml"]

_MAX_KEPT = 2**20  # characters of a text whose content is kept
_MISREAD = re.compile("[-?:,\\[\\]{}#&*!|>'\"%@`]|.*[\x85\u2028\u2029\ufeff]", re.DOTALL)
"""What starts as YAML's own signs do, and characters that are read as the end of a line."""


def parse_yaml(text: str) -> Any:
    """What a text says; safe to change.

    Raises:
        ValueError: it is no YAML.
    """
    if len(text) > _MAX_KEPT:
        return _parsed.__wrapped__(text)
    return copy.deepcopy(_parsed(text))


@functools.lru_cache(maxsize=128)
def _parsed(text: str) -> Any:
    """What a text says; a run's files are asked for many times, and parsing takes 0.1 s."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, LookupError, TypeError, AttributeError) as error:
        # wrong tags make the parser's own constructors fail
        raise ValueError(str(error) or type(error).__name__) from None


def dump_yaml(document: Mapping[str, Any]) -> str:
    """Text of a document of plain values."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = _representer()
    yaml.default_flow_style = None  # lists of numbers on one line
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(dict(document), stream)
    return stream.getvalue()


@functools.cache
def _representer() -> type:
    """The writer of values, which puts text that could be misread in double quotes."""
    from ruamel.yaml.representer import SafeRepresenter

    class Quoting(SafeRepresenter):
        pass

    def text(self: Any, value: str) -> Any:
        style = '"' if _MISREAD.match(value) else None
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Quoting.add_representer(str, text)
    return Quoting
