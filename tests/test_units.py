"""Numbers with units, read and written."""

import pytest

from supernet.units import BYTES, COUNTS, in_words, units_of, with_unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.345678, "ms", "12.35 ms"),
        (1234.5678, "ms", "1,235 ms"),  # and not 1.235 kms
        (23456.0, "ms", "23,456 ms"),
        (2e9, "ms", "2,000,000,000 ms"),
        (-1500.0, "ms", "-1,500 ms"),
        (0.00012346, "ms", "0.0001235 ms"),
        (1e20, "ms", "1e+20 ms"),
        (71.239, "%", "71.24 %"),
        (999.0, "", "999"),
        (1234.0, "", "1.234 k"),
        (999_999.0, "", "1 M"),  # and not 1000 k
        (300e6, "", "300 M"),
        (2.5e9, "", "2.5 G"),
        (640.0, "bytes", "640 bytes"),
        (4_200_000.0, "bytes", "4.2 MB"),
        (1500.0, "images/s", "1,500 images/s"),
    ],
)
def test_a_value_in_words(value: float, unit: str, text: str) -> None:
    assert in_words(value, unit) == text


@pytest.mark.parametrize(("unit", "units"), [("", COUNTS), ("bytes", BYTES)])
@pytest.mark.parametrize("value", [1500.0, 2.5e6, 3e9])
def test_large_counts_are_read_again_as_they_are_written(
    value: float, unit: str, units: dict[str, float]
) -> None:
    assert with_unit(in_words(value, unit), units) == pytest.approx(value, rel=1e-3)
    assert with_unit(in_words(value, unit), units_of(unit)) == pytest.approx(value, rel=1e-3)
