"""What a folder of an export has beside its networks."""

from pathlib import Path

import numpy as np
import pytest
from supernet.export.handover import write_samples

from supernet.errors import FileFormatError


def test_a_damaged_file_of_an_earlier_export_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"cut short")
    with pytest.raises(FileFormatError, match=r"model\.onnx: does not run") as error:
        write_samples(tmp_path, [model], np.zeros((1, 8, 8, 3), np.uint8), ["cat"])
    assert "remove it, or export it again" in error.value.hint
