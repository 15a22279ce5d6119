"""What identifies a machine, and how it is doing: what Linux lets anybody read."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["Machine"]

_MIB = 1 << 20


class Machine:
    """Reads of this machine; None where it does not say.

    Args:
        root: folder that holds `proc` and `sys`.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = Path(root)

    def describe(self) -> dict[str, str]:
        """What identifies it, besides the runtime."""
        return {
            "processor": self.processor(),
            "machine": platform.machine(),
            "system": platform.system(),
        }

    def conditions(self) -> dict[str, str]:
        """How it is doing now, in words, as far as it can be read."""
        readings = {
            "governor": self.governor(),
            "frequency_mhz": self.frequency_mhz(),
            "temperature_c": self.temperature_c(),
            "throttled": self.throttled(),
            "load": self.load(),
            "memory_mib": self.memory_mib(),
        }
        told = {
            key: f"{value:.4g}" if isinstance(value, float) else str(value)
            for key, value in readings.items()
            if value is not None
        }
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        return {**told, **versions, "cores": str(os.cpu_count() or 0)}

    def processor(self) -> str:
        """Its name, such as ``Cortex-A72`` or the model of the board."""
        lines = (self._text("proc/cpuinfo") or "").splitlines()
        for field in ("Model", "model name", "Hardware"):  # of a board, a processor, a chip
            for line in lines:
                found = line.split(":", 1)[-1].strip()
                general = field == "model name" and found.startswith("ARMv")  # all boards of it
                if line.split(":")[0].strip() == field and ":" in line and not general:
                    return found
        board = (self._text("proc/device-tree/model") or "").strip("\0 \n")
        return board or self._part(lines) or _of_macos() or platform.processor() or "unknown"

    @staticmethod
    def _part(lines: list[str]) -> str:
        """What an ARM core says of itself where nobody named the board."""
        values = dict(line.split("\t:", 1) for line in lines if "\t:" in line)
        part, maker = values.get("CPU part", ""), values.get("CPU implementer", "")
        return f"ARM core {part.strip()} of maker {maker.strip()}" if part else ""

    @staticmethod
    def gpu() -> str:
        """Its name, such as ``NVIDIA H100 80GB HBM3``, as NVIDIA's driver tells it."""
        return _answer("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "unknown"

    def governor(self) -> str | None:
        """Policy of the clock frequency; only ``performance`` holds it still."""
        found = {text for _, text in self._each("cpu*/cpufreq/scaling_governor")}
        return ", ".join(sorted(found)) or None

    def frequency_mhz(self) -> float | None:
        """Of the fastest core now."""
        found = [int(text) for _, text in self._each("cpu*/cpufreq/scaling_cur_freq")]
        return max(found) / 1000 if found else None

    def temperature_c(self) -> float | None:
        """Of the hottest zone."""
        zones = [_number(self._read(path)) for path in self._glob("sys/class/thermal/*/temp")]
        found = [zone / 1000 for zone in zones if zone is not None and zone > 0]
        return max(found) if found else None

    def throttled(self) -> str | None:
        """How often cores were slowed down for heat, or a Raspberry Pi's flags."""
        flags = self._text("sys/devices/platform/soc/soc:firmware/get_throttled")
        if flags is not None:
            return "0x" + flags.strip().replace("0x", "")
        counts = [int(text) for _, text in self._each("cpu*/thermal_throttle/core_throttle_count")]
        return f"{sum(counts)} times" if counts else None

    def load(self) -> float | None:
        """Programs that wanted a core over the last minute, on average."""
        return _number((self._text("proc/loadavg") or "").split(" ")[0])

    def memory_mib(self) -> int | None:
        """Memory that is free to use."""
        for line in (self._text("proc/meminfo") or "").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // _MIB
        return None

    def warnings(self) -> list[str]:
        """What will make times uncertain, and what to do about it."""
        found = []
        governor, load, memory = self.governor(), self.load(), self.memory_mib()
        if governor and governor != "performance":
            found.append(
                f"the frequency governor is {governor}, times may jump: "
                "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
            )
        if load is not None and load > 0.5:  # half a program all the time
            found.append(f"other programs are running (load {load:.1f}): stop them if you can")
        if memory is not None and memory < 256:  # the largest network needs half
            found.append(f"only {memory} MiB of memory are free: stop other programs")
        if sys.platform != "linux":
            found.append("frequency and temperature cannot be read on this system")
        return found

    def _each(self, pattern: str) -> Iterator[tuple[Path, str]]:
        for path in self._glob("sys/devices/system/cpu/" + pattern):
            text = self._read(path)
            if text:
                yield path, text.strip()

    def _glob(self, pattern: str) -> list[Path]:
        return sorted(self._root.glob(pattern))

    def _text(self, name: str) -> str | None:
        return self._read(self._root / name)

    @staticmethod
    def _read(path: Path) -> str | None:
        try:
            return path.read_text(errors="replace")
        except OSError:
            return None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _of_macos() -> str:
    """Such as ``Apple M1``; the module `platform` calls all of these ``arm``."""
    if platform.system() != "Darwin":
        return ""
    return _answer("sysctl", "-n", "machdep.cpu.brand_string")


def _answer(*command: str) -> str:
    """The first line that a command prints; empty where it fails or there is none."""
    try:
        done = subprocess.run(  # noqa: S603  # no words of anybody else in it
            command, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.partition("\n")[0].strip()
