"""What others published, for tests: not part of this project, so they are skipped without it."""

import os
from pathlib import Path

import pytest

__all__ = ["PUBLISHED", "needs"]

PUBLISHED = Path(
    os.environ.get("SUPERNET_PUBLISHED")
    or Path(__file__).resolve().parents[2] / "shared" / "published"
)


def needs(*parts: str) -> pytest.MarkDecorator:
    """Skips a test where this part of what others published is not there."""
    path = PUBLISHED.joinpath(*parts)
    return pytest.mark.skipif(not path.exists(), reason=f"published files are not at {path}")
