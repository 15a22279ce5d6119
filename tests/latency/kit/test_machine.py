"""What a machine says of itself."""

import platform
from pathlib import Path

import pytest

from supernet.latency.build import is_same_device
from supernet.latency.kit.machine import Machine
from supernet.latency.words import device_words, runtime_words


def test_a_gpu_has_the_name_that_its_driver_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Machine.gpu() == "unknown"
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3'\necho another\n")
    program.chmod(0o755)
    assert Machine.gpu() == "NVIDIA H100 80GB HBM3"
    program.write_text("#!/bin/sh\nexit 9\n")
    assert Machine.gpu() == "unknown"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("model\t\t: 85\nmodel name\t: AMD EPYC 9355\n", "AMD EPYC 9355"),
        (
            "CPU part\t: 0xd08\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
            "Raspberry Pi 4 Model B Rev 1.4",
        ),
        (  # a system of 32 bits, where the cores of many boards have one name
            "model name\t: ARMv7 Processor rev 4 (v7l)\nHardware\t: BCM2835\n"
            "Model\t\t: Raspberry Pi 3 Model B Plus Rev 1.3\n",
            "Raspberry Pi 3 Model B Plus Rev 1.3",
        ),
        (
            "model name\t: ARMv7 Processor rev 1 (v7l)\nHardware\t: SAMSUNG EXYNOS\n",
            "SAMSUNG EXYNOS",
        ),
        (
            "model name\t: ARMv7 Processor rev 1 (v7l)\nCPU implementer\t: 0x41\n"
            "CPU part\t: 0xc0f\n",
            "ARM core 0xc0f of maker 0x41",
        ),
    ],
)
def test_boards_with_the_same_cores_have_names_of_their_own(
    tmp_path: Path, lines: str, name: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(lines)
    assert Machine(str(tmp_path)).processor() == name


def test_another_gpu_is_another_device() -> None:
    cpu = {"processor": "Xeon", "runtime": "torch", "runtime_version": "2.11", "provider": "cpu"}
    gpu = {**cpu, "provider": "cuda", "gpu": "H100"}
    assert is_same_device(cpu, dict(cpu))
    assert not is_same_device(cpu, gpu)
    assert not is_same_device(gpu, {**gpu, "gpu": "H200"})
    assert is_same_device(gpu, {**gpu, "measured_at": "2026-11-26"})


def test_a_device_is_told_in_words() -> None:
    gpu = {"processor": "Xeon", "gpu": "H100", "runtime": "torch", "runtime_version": "2.11"}
    assert device_words(gpu) == "H100"
    assert device_words({"processor": "Xeon"}) == "Xeon"
    assert device_words({}) == "not known"
    words = runtime_words(gpu, threads=2, precision="fp16", batch=8)
    assert words == "torch 2.11, 2 threads, fp16, batch 8"
    assert runtime_words({}, threads=1, precision="fp32", batch=1) == "as published"


def test_a_mac_is_named_by_its_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sysctl").write_text(
        '#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo M3\n'
    )
    (tools / "sysctl").chmod(0o755)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setenv("PATH", str(tools))
    assert Machine(str(tmp_path)).processor() == "M3"
    (tools / "sysctl").unlink()
    assert Machine(str(tmp_path)).processor() == "arm"
