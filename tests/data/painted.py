"""Folders of small painted images."""

from pathlib import Path

from PIL import Image


def paint(path: Path, number: int, size: tuple[int, int] = (12, 10)) -> None:
    """An image in a colour that tells its number, to 127."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number, 2 * number, 100)).save(path)


def insects(root: Path) -> Path:
    """Classes `ant` and `bee`: five training and two test images each."""
    for k, name in enumerate(("ant", "bee")):
        for i in range(5):
            paint(root / "train" / name / f"{i}.png", 10 * k + i + 1)
        for i in range(2):
            paint(root / "val" / name / f"{i}.png", 50 + 10 * k + i)
    return root
