"""What is built is what is in the folders, and it works where nothing else is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.lowest import lowest

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS: dict[str, Any] = SETTINGS["tool"]["setuptools"]
MAPPED: dict[str, str] = SETUPTOOLS["package-dir"]
FOLDERS = [f for f in (*MAPPED.values(), "benchmarks", "docs", "tests") if (ROOT / f).is_dir()]
VERSION: str = SETTINGS["project"]["version"]


def folder_of(package: str) -> Path:
    """The source folder of a package, through the longest mapped prefix."""
    prefix = max((p for p in MAPPED if f"{package}.".startswith(f"{p}.")), key=len)
    return ROOT.joinpath(MAPPED[prefix], *package.removeprefix(prefix).split("."))


def files_under(folder: Path) -> Iterator[Path]:
    """Every file that belongs to the project, none that Python or a tool left there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.name[0] != ".":
            yield path


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a program that must end well, free of the paths of this process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


# -- the lists in pyproject.toml ------------------------------------------------------


def test_packages_list_equals_the_folders_with_an_init_file() -> None:
    found = {
        ".".join((package, *path.parent.relative_to(ROOT / folder).parts))
        for package, folder in MAPPED.items()
        for path in files_under(ROOT / folder)
        if path.name == "__init__.py"
    }
    assert sorted(SETUPTOOLS["packages"]) == sorted(found)


def test_every_folder_with_python_files_has_an_init_file() -> None:
    folders = {f.parent for top in MAPPED.values() for f in files_under(ROOT / top)}
    assert [f for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_package_data_covers_every_file_that_is_not_python() -> None:
    covered = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in folder_of(package).glob(pattern)
    }
    present = {p for top in MAPPED.values() for p in files_under(ROOT / top) if p.suffix != ".py"}
    assert sorted(present - covered) == []


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "supernet" / "py.typed").exists()


def test_dependencies_have_no_upper_bound() -> None:
    extras: dict[str, list[str]] = SETTINGS["project"]["optional-dependencies"]
    wanted = [*SETTINGS["project"]["dependencies"], *chain.from_iterable(extras.values())]
    assert [d for d in wanted if any(mark in d for mark in ("<", "==", "~", "+"))] == []


def test_make_lowest_takes_every_lower_bound_and_nothing_else() -> None:
    assert lowest(["torch>=2.9", "thop", "ruamel.yaml>=0.18"]) == [
        "torch==2.9",
        "ruamel.yaml==0.18",
    ]
    printed = run(sys.executable, ROOT / "tests" / "lowest.py", cwd=ROOT).split()
    assert printed == lowest(SETTINGS["project"]["dependencies"])
    assert len(printed) >= len(SETTINGS["project"]["dependencies"]) - 1  # thop has versions by date


# -- the archives ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The archives and what the tools said while they made them."""

    sdist: Path
    wheel: Path
    log: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel made from it, of a copy: the sources stay untouched."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy2(path, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    log = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, copy, cwd=out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist=sdist, wheel=wheel, log=log)


def test_building_leaves_nothing_out_and_warns_of_nothing(built: Built) -> None:
    for complaint in ("absent from the `packages`", "SetuptoolsDeprecationWarning", "Warning:"):
        assert complaint not in built.log


def test_wheel_holds_every_file_of_the_packages_and_nothing_beside_them(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        "/".join((*package.split("."), path.relative_to(ROOT / folder).as_posix()))
        for package, folder in MAPPED.items()
        for path in files_under(ROOT / folder)
    }
    assert names == expected
    assert "supernet/export/__init__.py" in names
    assert "supernet/data/fashion_mnist/fashion_mnist.npz" in names


def test_wheel_installs_one_top_level_package(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        info = f"supernet-{VERSION}.dist-info"
        assert {n.split("/")[0] for n in archive.namelist()} == {"supernet", info}
        assert archive.read(f"{info}/top_level.txt").split() == [b"supernet"]


def test_wheel_carries_both_licences(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = [n.split("/licenses/")[1] for n in archive.namelist() if "/licenses/" in n]
    assert sorted(names) == ["LICENSE", "supernet/data/fashion_mnist/README.md"]


def test_sdist_holds_the_packages_the_tests_and_what_builds_them(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = {p.relative_to(ROOT).as_posix() for f in FOLDERS for p in files_under(ROOT / f)}
    expected |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md"}
    expected |= {"MANIFEST.in", "pyproject.toml"}
    assert sorted(expected - names) == []


# -- a place where only the wheel is installed ----------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A virtual environment that holds the wheel, and sees our dependencies."""

    root: Path
    python: Path
    script: Path


@pytest.fixture(scope="module")
def place(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A clean environment with the wheel in it.

    The dependencies come from the environment that runs the tests, through a .pth
    file. Python does not read the .pth files of a folder that it finds in this
    way, so an editable install of ours out there stays out of reach.
    """
    root = tmp_path_factory.mktemp("place")
    run(sys.executable, "-m", "venv", "--without-pip", root, cwd=root)
    scheme = sysconfig.get_paths("venv", vars={"base": str(root), "platbase": str(root)})
    outer = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    Path(scheme["purelib"], "outer.pth").write_text("\n".join(outer) + "\n", encoding="utf-8")
    place = Place(
        root=root,
        python=Path(scheme["scripts"], "python"),
        script=Path(scheme["scripts"], "supernet"),
    )
    pip = (sys.executable, "-m", "pip", "--python", place.python)
    run(*pip, "install", "--no-deps", "--no-index", "--force-reinstall", built.wheel, cwd=root)
    return place


def test_installed_package_is_the_one_of_the_wheel(place: Place, tmp_path: Path) -> None:
    code = "import supernet, importlib.util as u; print(supernet.__file__, u.find_spec('export'))"
    file, export = run(place.python, "-c", code, cwd=tmp_path).split()
    assert Path(file).is_relative_to(place.root)
    assert export == "None"


def test_mapped_packages_import_from_the_wheel(place: Place, tmp_path: Path) -> None:
    code = (
        "import supernet.export as e, supernet.latency_tables as t; print(e.__file__, t.__file__)"
    )
    for file in run(place.python, "-c", code, cwd=tmp_path).split():
        assert Path(file).is_relative_to(place.root)


@pytest.mark.cli
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "Usage: supernet"),
        (["--version"], VERSION),
        (["spaces"], "mobilenet_v3"),
    ],
)
def test_command_line_works_from_the_wheel(
    place: Place, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    assert expected in run(place.script, *arguments, cwd=tmp_path)


@pytest.mark.cli
def test_package_runs_as_a_module(place: Place, tmp_path: Path) -> None:
    assert VERSION in run(place.python, "-m", "supernet", "--version", cwd=tmp_path)
