"""What a kit measures: every distinct operator, and whole networks made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Plan(NamedTuple):
    """Operators and networks of one space at some resolutions."""

    space: str
    space_hash: str
    resolutions: tuple[int, ...]
    operators: tuple[Spec, ...]
    networks: tuple[Network, ...]

    def specs(self, network: Network) -> list[Spec]:
        """The operators of a network."""
        return [self.operators[number] for number in network.operators]

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
            "operators": [list(spec) for spec in self.operators],
            "networks": [
                {"use": network.use, "operators": list(network.operators)}
                for network in self.networks
            ],
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
            FileFormatError: not a plan, or one of a newer version.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise FileFormatError("the plan of this kit is damaged", hint="make the kit again")
        if document.get("version") != VERSION:
            raise FileFormatError(
                f"version {document.get('version')!r} of a plan, known here is {VERSION}"
            )
        try:
            return cls(
                space=str(document["space"]),
                space_hash=str(document["space_hash"]),
                resolutions=tuple(int(size) for size in document["resolutions"]),
                operators=tuple(Spec(*row) for row in document["operators"]),
                networks=tuple(
                    Network(str(item["use"]), tuple(int(n) for n in item["operators"]))
                    for item in document["networks"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"the plan is damaged: {error!r}") from None
