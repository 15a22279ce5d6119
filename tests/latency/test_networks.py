"""Files of measured networks: read as they are meant, refused when they are not."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from supernet.errors import ConfigError, FileFormatError
from supernet.latency.networks import Unit, read_networks
from supernet.space import (
    Genes,
    Space,
    SubnetFile,
    canonical,
    decode,
    load_space,
    macs_of,
    operators,
    sample,
)

COUNT = 7


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space("mobilenet_v3")


@pytest.fixture(scope="module")
def genes(space: Space) -> Genes:
    return canonical(space, sample(space, COUNT, np.random.default_rng(0)))


def written(space: Space, genes: Genes) -> dict[str, Any]:
    """As Once-for-All writes networks: 0 for what is not there."""
    arrays: dict[str, Any] = {"ks": [], "e": [], "d": [], "r": []}
    for subnet in decode(space, genes):
        ks, e = [], []
        for stage in subnet.stages[1:]:  # the first has nothing to choose
            padding = [0] * (4 - len(stage.blocks))
            ks += [block.kernel for block in stage.blocks] + padding
            e += [int(block.expand) for block in stage.blocks] + padding
        arrays["ks"].append(ks)
        arrays["e"].append(e)
        arrays["d"].append([len(stage.blocks) for stage in subnet.stages[1:]])
        arrays["r"].append(subnet.resolution)
    return {name: np.array(values, dtype=np.int16) for name, values in arrays.items()}


@pytest.fixture
def arrays(space: Space, genes: Genes) -> dict[str, Any]:
    return {**written(space, genes), "ms": np.linspace(1, 2, COUNT, dtype=np.float32)}


def test_an_npz_is_read_as_once_for_all_writes_it(
    tmp_path: Path, space: Space, genes: Genes, arrays: dict[str, Any]
) -> None:
    np.savez_compressed(tmp_path / "n.npz", **arrays, other=np.arange(3))
    found = read_networks(tmp_path / "n.npz", space, "ms")
    np.testing.assert_array_equal(found.genes, genes)
    np.testing.assert_allclose(found.ms, np.linspace(1, 2, COUNT))


@pytest.mark.parametrize("style", ["cells", "columns from 0", "columns from 1"])
def test_a_csv_is_read_in_either_style(
    tmp_path: Path, space: Space, genes: Genes, arrays: dict[str, Any], style: str
) -> None:
    lists = {name: arrays[name].tolist() for name in ("ks", "e", "d")}
    if style == "cells":
        names = ["ks", "e", "d", "r", "ms"]
        rows = [
            [*(f'"[{", ".join(map(str, lists[n][i]))}]"' for n in lists), arrays["r"][i], 1 + i]
            for i in range(COUNT)
        ]
    else:
        first = int(style[-1])
        names = [f"{n}{k + first}" for n in lists for k in range(len(lists[n][0]))] + ["r", "ms"]
        rows = [
            [*(v for n in lists for v in lists[n][i]), arrays["r"][i], 1 + i] for i in range(COUNT)
        ]
    text = "\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)])
    (tmp_path / "n.csv").write_text(text + "\n")
    found = read_networks(tmp_path / "n.csv", space, "ms")
    np.testing.assert_array_equal(found.genes, genes)
    np.testing.assert_allclose(found.ms, 1.0 + np.arange(COUNT))


def test_a_csv_may_name_files_of_subnets(tmp_path: Path, any_space: Space) -> None:
    genes = sample(any_space, 3, np.random.default_rng(0))
    save_csv(tmp_path, any_space, genes, ["1", "2", "3"])
    found = read_networks(tmp_path / "n.csv", any_space, "ms")
    np.testing.assert_array_equal(found.genes, canonical(any_space, genes))
    (tmp_path / "n.csv").write_text("subnet,ms\n../0.json,1\n")
    with pytest.raises(FileFormatError, match="outside the folder"):
        read_networks(tmp_path / "n.csv", any_space, "ms")


def test_images_per_second_become_the_time_of_a_batch(
    tmp_path: Path, space: Space, arrays: dict[str, Any]
) -> None:
    np.savez(tmp_path / "n.npz", **arrays, rate=2000 / arrays["ms"])
    alone = read_networks(tmp_path / "n.npz", space, "rate", unit="images/s")
    np.testing.assert_allclose(alone.ms, np.linspace(1, 2, COUNT) / 2, rtol=1e-6)
    batch = read_networks(tmp_path / "n.npz", space, "rate", unit="images/s", batch=64)
    np.testing.assert_allclose(batch.ms, 32 * np.linspace(1, 2, COUNT), rtol=1e-6)
    given = read_networks(tmp_path / "n.npz", space, "ms", batch=64)
    np.testing.assert_allclose(given.ms, np.linspace(1, 2, COUNT), rtol=1e-6)
    arrays["rate"] = np.zeros(COUNT)
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(
        ConfigError, match=r"rate\[0\]: a throughput must be above 0 .* 1e7 images/s"
    ):
        read_networks(tmp_path / "n.npz", space, "rate", unit="images/s")


def test_networks_that_were_not_measured_are_left_out(
    tmp_path: Path, space: Space, genes: Genes, arrays: dict[str, Any]
) -> None:
    arrays["ms"][[1, 4]] = np.nan
    np.savez(tmp_path / "n.npz", **arrays)
    found = read_networks(tmp_path / "n.npz", space, "ms")
    rest = [0, 2, 3, 5, 6]
    np.testing.assert_array_equal(found.genes, genes[rest])
    np.testing.assert_allclose(found.ms, np.linspace(1, 2, COUNT)[rest], rtol=1e-6)
    assert found.left_out == 2
    save_csv(tmp_path, space, genes[:3], ["", "2", "nan"])
    found = read_networks(tmp_path / "n.csv", space, "ms")
    np.testing.assert_array_equal(found.genes, genes[1:2])
    assert (found.ms.tolist(), found.left_out) == ([2.0], 2)


def save_csv(folder: Path, space: Space, genes: Genes, cells: list[str]) -> None:
    """A CSV of files of subnets."""
    lines = ["subnet,ms"]
    for number, (subnet, cell) in enumerate(zip(decode(space, genes), cells)):
        file = SubnetFile(subnet=subnet, operators=tuple(operators(space, subnet)))
        file.save(folder / f"{number}.json")
        lines.append(f"{number}.json,{cell}")
    (folder / "n.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("count", [60, 2500])
@pytest.mark.parametrize(("unit", "other"), [("ms", "images/s"), ("images/s", "ms")])
def test_a_column_of_the_other_unit_is_noticed(
    tmp_path: Path, space: Space, count: int, unit: Unit, other: Unit
) -> None:
    """Larger networks take longer; where they seem not to, the column holds the inverse."""
    genes = canonical(space, sample(space, count, np.random.default_rng(1)))
    macs = macs_of(space, genes).astype(np.float64)
    ms = np.random.default_rng(2).permutation(macs) + macs  # much noise
    values = {"ms": ms, "images/s": 1e9 / ms}
    arrays = written(space, genes)
    np.savez(tmp_path / "n.npz", **arrays, value=values[other] / values[other].max())
    with pytest.raises(ConfigError, match=f"taken as {unit}, larger networks are faster") as caught:
        read_networks(tmp_path / "n.npz", space, "value", unit=unit)
    assert f"--unit {other}" in caught.value.hint
    assert len(read_networks(tmp_path / "n.npz", space, "value", unit=other).ms) == count


def test_one_value_a_stage_is_read(tmp_path: Path) -> None:
    """As Accel-NASBench writes networks; an expand ratio of 1 is a plain block."""
    space = load_space("mnasnet_accel")
    stages = (3, 7)
    arrays: dict[str, Any] = {
        "e": np.full(stages, 4),
        "k": np.full(stages, 5),
        "l": np.full(stages, 2),
    }
    arrays |= {"se": np.zeros(stages, dtype=bool), "rate": np.array([500.0, np.nan, 1000.0])}
    np.savez(tmp_path / "n.npz", **arrays)
    found = read_networks(tmp_path / "n.npz", space, "rate", unit="images/s")
    assert (found.ms.tolist(), found.left_out, len(found.genes)) == ([2.0, 1.0], 1, 2)
    with pytest.raises(FileFormatError, match="no column 'rates'; did you mean 'rate'"):
        read_networks(tmp_path / "n.npz", space, "rates")
    np.savez(tmp_path / "n.npz", **(arrays | {"rate": np.ones(2)}))
    with pytest.raises(FileFormatError, match="3 networks, but 2 rows of rate"):
        read_networks(tmp_path / "n.npz", space, "rate")


# ------------------------------------------------------------------ refused


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update({name: value})


def at(name: str, where: Any, value: float) -> Callable[[dict[str, Any]], None]:
    def edit(arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].astype(np.float64)
        arrays[name][where] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda a: a.pop("d"), r"n.npz: no d; found ks, e, r, ms"),
        (lambda a: a.pop("ms"), "no column 'ms'; known: none"),
        (at("ms", 2, -1.0), r"ms\[2\]: a latency must be above 0 and below 1e7 ms, found -1"),
        (at("ms", slice(None), np.nan), r"ms: none of 7 networks was measured"),
        (at("ms", 0, np.inf), r"ms\[0\].* found inf"),
        (put("ms", np.ones((COUNT, 2))), "expected 1 to 1000000 values in a row"),
        (put("ms", np.ones(0)), "expected 1 to 1000000 values"),
        (put("ms", np.array(1.0)), "ms: expected a row for each network, found one value"),
        (put("r", np.array(160)), "r: expected a row for each network, found one value"),
        (put("subnet", np.ones(COUNT)), "subnet: expected a name of a file for each network"),
        (put("subnet", np.array("a")), "subnet: expected a name of a file for each network"),
        (put("r", np.full(COUNT - 1, 160)), "r: 6 rows, expected 7"),
        (put("ks", np.full((COUNT, 19), 3)), r"ks: space 'mobilenet_v3' needs the shape \(7, 20\)"),
        (put("d", np.full((COUNT, 4), 2)), r"d: space .* needs the shape \(7, 5\), found \(7, 4\)"),
        (at("ks", (4, 0), 9), r"row 4: ks\[0\]: must be one of 3, 5, 7, found 9 \(as in 1 rows\)"),
        (at("e", (1, 4), np.nan), r"row 1: e\[4\]: must be one of 3, 4, 6, found nan"),
        (at("d", (6, 4), 5), r"row 6: d\[4\]: must be one of 2, 3, 4, found 5"),
        (at("r", 5, 230), "row 5: r: must be one of 128, .*found 230"),
        (put("ks", np.array(["a"] * COUNT)), "ks: not all of it are numbers"),
        (put("ks", np.array([{}] * COUNT)), "it holds object, not numbers"),
    ],
)
def test_wrong_content_is_named(
    tmp_path: Path, space: Space, arrays: dict[str, Any], edit: Any, text: str
) -> None:
    edit(arrays)
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises((ConfigError, FileFormatError), match=text):
        read_networks(tmp_path / "n.npz", space, "ms")


def test_choices_that_the_columns_do_not_tell_are_named(
    tmp_path: Path, arrays: dict[str, Any]
) -> None:
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(ConfigError, match=r"'resnet50' has choices that .*: stem\.width") as caught:
        read_networks(tmp_path / "n.npz", load_space("resnet50"), "ms")
    assert "column `subnet`" in caught.value.hint


def test_a_file_without_its_columns_names_the_page_that_has_them(
    tmp_path: Path, space: Space, arrays: dict[str, Any]
) -> None:
    del arrays["d"]
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(FileFormatError) as caught:
        read_networks(tmp_path / "n.npz", space, "ms")
    page, heading = caught.value.hint.split(", ")[:2]
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    assert f"## {heading}\n" in text
    assert all(f"| `{name}` |" in text for name in ("ks", "e", "d", "r"))


def test_what_is_not_there_does_not_matter(
    tmp_path: Path, space: Space, genes: Genes, arrays: dict[str, Any]
) -> None:
    there = arrays["ks"] > 0
    assert not there.all()
    arrays["ks"][~there], arrays["e"][~there] = 99, -1
    np.savez(tmp_path / "n.npz", **arrays)
    np.testing.assert_array_equal(read_networks(tmp_path / "n.npz", space, "ms").genes, genes)


def test_the_ending_of_an_archive_may_be_in_capitals(
    tmp_path: Path, space: Space, genes: Genes, arrays: dict[str, Any]
) -> None:
    np.savez(tmp_path / "n.npz", **arrays)
    path = (tmp_path / "n.npz").rename(tmp_path / "N.NPZ")
    np.testing.assert_array_equal(read_networks(path, space, "ms").genes, genes)


def refused(path: Path, space: Space) -> str:
    with pytest.raises(FileFormatError) as caught:
        read_networks(path, space, "ms")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_archives_are_named(tmp_path: Path, space: Space, arrays: dict[str, Any]) -> None:
    path = tmp_path / "n.npz"
    assert "no such file" in refused(path, space)
    np.savez(path, **arrays)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not an archive of arrays" in refused(path, space)
    middle = len(whole) // 3
    path.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    assert "not an archive of arrays" in refused(path, space)
    path.write_bytes(b"")
    assert "not an archive of arrays" in refused(path, space)


def array_bytes(header: str, content: bytes = b"") -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            array_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,)}"),
            "not an arch",
        ),
        (
            array_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
            "shorter than it says",
        ),
        (array_bytes("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"x" * 8), "object"),
        (b"\x93NUMPY\x09\x00", "version"),
        (b"", "not an archive of arrays"),
    ],
)
def test_an_array_that_lies_is_refused_before_memory_is_taken(
    tmp_path: Path, space: Space, content: bytes, text: str
) -> None:
    with zipfile.ZipFile(tmp_path / "n.npz", "w") as archive:
        archive.writestr("ms.npy", content)
    assert text in refused(tmp_path / "n.npz", space)


def test_an_archive_that_grows_without_end_is_refused(tmp_path: Path, space: Space) -> None:
    with zipfile.ZipFile(tmp_path / "n.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(34 << 20))
        archive.writestr("ms.npy", buffer.getvalue())
    assert (tmp_path / "n.npz").stat().st_size < 1 << 20
    assert "holds more than 256 MB" in refused(tmp_path / "n.npz", space)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a line of names"),
        ("ks,e,d,r,ms\n", "expected a line of names and lines of values"),
        ("ks,ms\n1,2,3\n", "line 2: 3 values, the first line has 2 names"),
        ("a,a\n1,2\n", "a name is there twice"),
        ("a,b\n1,2\n", "no column 'ms'; known: a, b"),
        ("ms,r\nfast,3\n", "ms: not all of it are numbers"),
        ("ms,r\n1,160\n", "no ks, e, d; found ms, r"),
        ("subnet,ms\na\0b,1\n", r"'a\x00b' is no name of a file"),
        ('ms,r\n"1,160\n', "cannot be read as CSV"),
        ("ks,e,d,r,ms\n3 3,3,2,160,1\n3,3,2,160,1\n", "ks: not all of it are numbers, or of one"),
    ],
)
def test_a_csv_of_another_kind_is_named(
    tmp_path: Path, space: Space, text: str, message: str
) -> None:
    (tmp_path / "n.csv").write_text(text)
    assert message in refused(tmp_path / "n.csv", space)
