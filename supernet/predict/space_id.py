"""The space that a predictor's file is of."""

from dataclasses import dataclass
from pathlib import Path

from supernet.errors import FileFormatError
from supernet.space import Space

__all__ = ["SpaceId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceId:
    """Its name, and the hash that tells versions of it apart."""

    name: str
    hash: str

    def check(self, path: Path, space: Space) -> None:
        """Refuse a file of another space.

        Raises:
            FileFormatError: it is of another one, or of another version.
        """
        if self.hash != space.hash:
            raise FileFormatError(
                f"{path}: of space {self.name!r} ({self.hash[:20]}), not of {space.name!r} "
                f"({space.hash})"
            )
