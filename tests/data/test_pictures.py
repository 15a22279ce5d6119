"""From picture files to 8-bit colours: more bits than 8, transparency, orientation, shape."""

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from supernet.data import pictures

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))  # left to right, from black to white
WANTED = np.round(RAMP * 255)


def seen(path: Path, levels: pictures.Levels | None = None) -> Any:
    with Image.open(path) as image:
        return np.asarray(pictures.upright(image, levels or {})).astype(int)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_integers_are_scaled_by_their_bits(tmp_path: Path, bits: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.round(RAMP * (2**bits - 1)).astype(np.uint16)).save(path)
    assert np.abs(seen(path)[..., 1] - WANTED).max() <= 1


@pytest.mark.parametrize(("black", "white"), [(0, 1), (0, 255), (0, 65535), (-1, 1), (-1024, 3071)])
def test_floats_are_scaled_by_what_they_are(tmp_path: Path, black: float, white: float) -> None:
    values = (black + RAMP * (white - black)).astype(np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.abs(seen(tmp_path / "a.tif")[..., 1] - WANTED).max() <= 1


def test_signed_and_long_integers_are_not_clipped(tmp_path: Path) -> None:
    for values in (RAMP * 4000 - 1000, RAMP * (2**20 - 1)):
        Image.fromarray(values.astype(np.int32)).save(tmp_path / "a.tif")
        assert np.abs(seen(tmp_path / "a.tif")[..., 1] - WANTED).max() <= 1


def test_values_that_are_not_numbers_are_black(tmp_path: Path) -> None:
    values = RAMP.astype(np.float32)
    values[5, 60] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = seen(tmp_path / "a.tif")
    assert found[5, 60].tolist() == [0, 0, 0]
    assert abs(found[6, 60, 0] - WANTED[6, 60]) <= 1


def test_a_data_sets_levels_go_before_a_pictures_own(tmp_path: Path) -> None:
    Image.fromarray(np.round(RAMP * 1023).astype(np.uint16)).save(tmp_path / "a.png")
    found = seen(tmp_path / "a.png", {"integer": (0, 4095), "float": (0, 1)})
    assert np.abs(found[..., 0] - WANTED / 4).max() <= 1


@pytest.mark.parametrize(
    ("kind", "low", "high", "levels"),
    [
        ("integer", 0, 1, (0, 1)),
        ("integer", 0, 1000, (0, 1023)),
        ("integer", 3, 4095, (0, 4095)),
        ("integer", 0, 4096, (0, 8191)),
        ("integer", -1000, 3000, (-1000, 3000)),
        ("integer", 0, 0, (0, 1)),
        ("float", 0, 1.02, (0, 1)),
        ("float", 0, 0.01, (0, 2**-6)),
        ("float", 0, 254.3, (0, 255)),
        ("float", -0.9, 1.0, (-1, 1)),
    ],
)
def test_levels_are_whole_numbers_of_bits(
    kind: str, low: float, high: float, levels: tuple[float, float]
) -> None:
    assert pictures.levels_of(kind, low, high) == levels


def test_a_dead_pixel_does_not_count() -> None:
    values = np.full((200, 200), 900)
    values[7, 7] = 65535
    assert pictures.extremes(values) == (900, 900)


# Pillow keeps the high bytes alone of 16-bit colours, so such files are written by hand.


def deep_png(path: Path, values: Any) -> None:
    height, width, channels = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def deep_tiff(path: Path, values: Any, order: str, orientation: int = 1) -> None:
    """RGB of 16 bits, in one strip, not compressed."""
    height, width, channels = values.shape
    content = values.astype(f"{order}u2").tobytes()
    bits, strip = 8 + 2 + 10 * 12 + 4, 8 + 2 + 10 * 12 + 4 + 6
    tags = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, channels, bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, strip),
        (274, 3, 1, orientation),
        (277, 3, 1, channels),
        (278, 3, 1, height),
        (279, 4, 1, len(content)),
    ]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if (kind, count) == (3, 1) else b"")
        + (struct.pack(f"{order}I", value) if (kind, count) != (3, 1) else b"")
        for tag, kind, count, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    depth = struct.pack(f"{order}{channels}H", *[16] * channels)
    path.write_bytes(head + entries + bytes(4) + depth + content)


COLOURS = np.stack([RAMP, RAMP[:, ::-1], RAMP / 2], axis=-1)


def test_colours_of_12_bits_in_png_keep_all_of_them(tmp_path: Path) -> None:
    deep_png(tmp_path / "a.png", np.round(COLOURS * 4095))
    assert np.abs(seen(tmp_path / "a.png") - COLOURS * 255).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_of_12_bits_in_tiff_keep_all_of_them(tmp_path: Path, order: str) -> None:
    deep_tiff(tmp_path / "a.tif", np.round(COLOURS * 4095), order)
    assert np.abs(seen(tmp_path / "a.tif") - COLOURS * 255).max() <= 1
    deep_tiff(tmp_path / "b.tif", np.round(COLOURS * 4095), order, orientation=3)
    assert np.abs(seen(tmp_path / "b.tif") - COLOURS[::-1, ::-1] * 255).max() <= 1


def test_clear_parts_of_deep_pictures_are_white(tmp_path: Path) -> None:
    clear = np.where(RAMP > 0.5, 65535, 0)
    for channels in ([RAMP * 4095], [RAMP * 4095] * 3):
        deep_png(tmp_path / "a.png", np.round(np.stack([*channels, clear], axis=-1)))
        found = seen(tmp_path / "a.png")
        assert (found[:, :32] == 255).all()
        assert np.abs(found[:, 32:, 1] - WANTED[:, 32:]).max() <= 1


# ------------------------------------------------------------------ transparency


RED = (200, 10, 10)


def half_clear() -> Image.Image:
    """Clear (and black) on the left, red on the right."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:] = (*RED, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["rgba", "palette", "gif", "named colour", "webp", "grey"])
def test_what_is_clear_is_white(tmp_path: Path, kind: str) -> None:
    image, path = half_clear(), tmp_path / "a.png"
    if kind == "palette":
        image.quantize(4).save(path)
    elif kind == "named colour":
        image.convert("RGB").save(path, transparency=(0, 0, 0))
    elif kind == "grey":
        image.convert("LA").save(path)
    else:
        path = tmp_path / f"a.{ {'rgba': 'png'}.get(kind, kind) }"
        image.save(path, lossless=kind == "webp")
    found = seen(path)
    assert found[4, 2].tolist() == [255, 255, 255]
    assert found[4, 12].tolist() == ([67, 67, 67] if kind == "grey" else list(RED))


def test_half_clear_is_mixed_with_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert abs(int(seen(tmp_path / "a.png")[0, 0, 0]) - 127) <= 1


# ------------------------------------------------------------------ orientation, shape


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_pictures_stand_as_the_camera_was_held(tmp_path: Path, turn: int, deep: bool) -> None:
    """As `ImageOps.exif_transpose`, which knows 8 bits alone."""
    from PIL import ImageOps

    plain = Image.fromarray(np.round(RAMP * RAMP[:, :1] + RAMP * 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    plain.save(tmp_path / "plain.png", exif=exif)
    path = tmp_path / "plain.png"
    if deep:
        path = tmp_path / "deep.png"
        values = np.asarray(plain).astype(np.uint16) * 257
        Image.fromarray(values).save(path, exif=exif)
    with Image.open(tmp_path / "plain.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(seen(path)[..., 0], expected)


def in_lab(path: Path, colours: Any) -> None:
    """Write colours, ``(H, W, 3)``, as a TIFF in CIELAB."""
    ends = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(*ends, "RGB", "LAB")
    made = ImageCms.applyTransform(Image.fromarray(colours), transform)
    assert made is not None
    made.save(path)


@pytest.mark.skipif(not features.check("littlecms2"), reason="this Pillow has no colour profiles")
def test_cielab_becomes_the_colours_it_was_made_of(tmp_path: Path) -> None:
    steps = np.linspace(80, 200, 12).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps), axis=-1)
    colours = np.concatenate([colours, colours[..., :1] // 2 + 60], axis=-1)
    in_lab(tmp_path / "lab.tif", colours)
    with Image.open(tmp_path / "lab.tif") as image:
        assert image.mode == "LAB"
        found = np.asarray(pictures.upright(image, {})).astype(float)
        grey = pictures.upright(image, {}, grey=True)
    assert np.abs(found - colours).max() <= 4  # 8 bits of each are fewer in sRGB
    assert np.abs(found - colours).mean() < 1.5
    assert grey.mode == "L"


def test_cielab_without_colour_profiles_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("LAB", (8, 8)).save(tmp_path / "lab.tif")
    monkeypatch.setitem(sys.modules, "PIL.ImageCms", None)
    monkeypatch.delattr("PIL.ImageCms", raising=False)
    with (
        Image.open(tmp_path / "lab.tif") as image,
        pytest.raises(ValueError, match="CIELAB needs a Pillow with LittleCMS"),
    ):
        pictures.upright(image, {})


def test_black_is_put_around_by_pad_alone() -> None:
    wide = Image.new("RGB", (40, 10), "white")
    assert pictures.fitted(wide, "crop") is wide
    square = np.asarray(pictures.fitted(wide, "pad"))
    assert square.shape == (40, 40, 3)
    assert square[15:25].min() == 255
    assert not square[:15].any()
    assert not square[25:].any()
