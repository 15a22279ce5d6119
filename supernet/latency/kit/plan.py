"""What a kit measures: every distinct operator, and whole networks made of them."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from supernet.blocks import Wired
from supernet.errors import FileFormatError
from supernet.latency.kit.spec import Spec

__all__ = ["FIT", "FORMAT", "HOLD_OUT", "VERSION", "Network", "Plan"]

FORMAT, VERSION = "supernet.kit_plan", 1
FIT, HOLD_OUT = "fit", "hold_out"


class Network(NamedTuple):
    """A whole network."""

    use: str
    """``fit``: for the correction; ``hold_out``: for the error."""
    operators: tuple[int, ...]
    """Its operators in order, as numbers in the plan's list."""
    reads: tuple[tuple[int, ...], ...] = ()
    """What each reads, as of `supernet.blocks.Wired`; nothing where each reads the one before."""


class Plan(NamedTuple):
    """Operators and networks of one space at some resolutions."""

    space: str
    space_hash: str
    resolutions: tuple[int, ...]
    operators: tuple[Spec, ...]
    networks: tuple[Network, ...]

    def specs(self, network: Network) -> list[Spec]:
        """The operators of a network."""
        specs = [self.operators[number] for number in network.operators]
        return Wired(specs, network.reads) if network.reads else specs

    def reference(self) -> Sequence[Spec]:
        """The operator that tells how fast operators run at a moment."""
        return [self.operators[len(self.operators) // 2]]

    def gauge(self) -> Sequence[Spec]:
        """The network that tells how fast whole networks run at a moment."""
        return self.specs(self.networks[len(self.networks) // 2]) if self.networks else ()

    def document(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space,
            "space_hash": self.space_hash,
            "resolutions": list(self.resolutions),
            "operators": [spec.row() for spec in self.operators],
            "networks": [_plain(network) for network in self.networks],
        }

    @property
    def id(self) -> str:
        """Hash of all it says."""
        text = json.dumps(self.document(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def of_document(cls, document: Any) -> Plan:
        """A plan from plain values.

        Raises:
            FileFormatError: not a plan, or one of a newer version; names the key.
        """
        _check(document, dict, "plan")
        if document.get("format") != FORMAT:
            found = reprlib.repr(document.get("format"))
            raise FileFormatError(f"plan.format: expected {FORMAT!r}, found {found}")
        if document.get("version") != VERSION:
            found = reprlib.repr(document.get("version"))
            raise FileFormatError(f"version {found} of a plan, known here is {VERSION}")
        operators, networks = (
            enumerate(_part(document, key, list)) for key in ("operators", "networks")
        )
        return cls(
            space=_part(document, "space", str),
            space_hash=_part(document, "space_hash", str),
            resolutions=_numbers(document, "resolutions", "plan"),
            operators=tuple(_spec(row, f"plan.operators[{n}]") for n, row in operators),
            networks=tuple(_network(item, f"plan.networks[{n}]") for n, item in networks),
        )


_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "a mapping"}


def _check(value: Any, kind: type, where: str) -> Any:
    """`value`, which must be of a kind."""
    if type(value) is not kind:
        raise FileFormatError(f"{where}: expected {_KINDS[kind]}, found {reprlib.repr(value)}")
    return value


def _part(document: Any, key: str, kind: type, where: str = "plan") -> Any:
    """What a mapping has under a key."""
    if key not in _check(document, dict, where):
        raise FileFormatError(f"{where}.{key}: missing")
    return _check(document[key], kind, f"{where}.{key}")


def _numbers(document: Any, key: str, where: str) -> tuple[int, ...]:
    found = enumerate(_part(document, key, list, where))
    return tuple(_check(number, int, f"{where}.{key}[{n}]") for n, number in found)


def _spec(row: Any, where: str) -> Spec:
    most = len(Spec._fields)
    least = most - len(Spec._field_defaults)
    if not least <= len(_check(row, list, where)) <= most:
        raise FileFormatError(f"{where}: expected {least} to {most} values, found {len(row)}")
    return Spec(*row)


def _plain(network: Network) -> dict[str, Any]:
    found: dict[str, Any] = {"use": network.use, "operators": list(network.operators)}
    if network.reads:
        found["reads"] = [list(own) for own in network.reads]
    return found


def _network(item: Any, where: str) -> Network:
    use, operators = _part(item, "use", str, where), _numbers(item, "operators", where)
    if "reads" not in item:
        return Network(use, operators)
    rows = enumerate(_part(item, "reads", list, where))
    reads = tuple(_row(row, f"{where}.reads[{number}]", number) for number, row in rows)
    if len(reads) != len(operators):
        raise FileFormatError(f"{where}.reads: expected {len(operators)}, found {len(reads)}")
    return Network(use, operators, reads)


def _row(row: Any, where: str, number: int) -> tuple[int, ...]:
    """What an operator reads, which is there before it."""
    found = tuple(_check(read, int, where) for read in _check(row, list, where))
    if not found or not all(0 <= read <= number for read in found):
        raise FileFormatError(f"{where}: expected numbers from 0 to {number}, found {row}")
    return found
