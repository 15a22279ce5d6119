"""A device and how it was measured, in words; names of targets."""

from collections.abc import Mapping

from supernet.errors import ConfigError

__all__ = ["check_target", "device_words", "runtime_words"]


def device_words(device: Mapping[str, str]) -> str:
    """The GPU, or the processor where none was measured."""
    return device.get("gpu") or device.get("processor") or "not known"


def runtime_words(device: Mapping[str, str], *, threads: int, precision: str, batch: int) -> str:
    """Runtime with its version, threads, precision and batch."""
    if "runtime" not in device:
        return "as published"
    words = f"{device['runtime']} {device.get('runtime_version', '')}".strip()
    count = f"{threads} thread{'s' * (threads > 1)}"
    return f"{words}, {count}, {precision}" + (f", batch {batch}" if batch > 1 else "")


def check_target(name: str) -> None:
    """Refuse a name that no table can be read with; also before anything is measured for it.

    Raises:
        ConfigError: it is empty, too long, or has what cannot be printed.
    """
    if not (0 < len(name) <= 100 and name.isprintable()):
        raise ConfigError(
            f"target: must be 1 to 100 printed characters, found {name[:60]!r}",
            hint="give another name",
        )
