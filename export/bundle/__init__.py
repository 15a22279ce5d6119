"""Several networks of one front in a folder that holds their weights once."""

from supernet.export.bundle.sharing import SharedWeights

__all__ = ["SharedWeights"]
