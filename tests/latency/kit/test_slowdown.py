"""A device that throttles midway is noticed, waited for and marked; its times still hold."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from supernet.errors import ConfigError
from supernet.latency.kit.machine import Machine
from supernet.latency.kit.measuring import LARGE, SMALL, Gauge, Task, measure_tasks
from supernet.latency.kit.protocol import Protocol, Visit, is_settled, paired, summarise
from supernet.latency.kit.slowdown import SpeedWatch


class Board:
    """A device whose speed is a function of the time, with a clock of its own."""

    def __init__(self, speed: Callable[[float], float]) -> None:
        self.now_s, self.speed = 0.0, speed

    def clock_ns(self) -> int:
        return round(self.now_s * 1e9)

    def clock_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def model(self, ms: float) -> Callable[[], None]:
        def run() -> None:
            self.now_s += ms / 1e3 / self.speed(self.now_s)

        return run


TIMES = {f"o{number}": 10.0 + number for number in range(20)}


def measure(board: Board, patience_s: float = 60.0) -> tuple[dict[str, float], list[str], int]:
    """Times by key, what was said, and how many models were never at full speed."""
    said: list[str] = []
    watch = SpeedWatch(
        Machine(), said.append, patience_s=patience_s, sleep=board.sleep, clock=board.clock_s
    )
    found = measure_tasks(
        [Task(key, partial(board.model, ms)) for key, ms in TIMES.items()],
        {SMALL: board.model(20.0)},
        board.clock_ns,
        Protocol(rounds=4, least=2, burst=4, visit_ms=0.0),
        watch=watch,
    )
    times = {key: timing.ms for key, timing in found.items()}
    return times, said, sum(timing.slow > 1 for timing in found.values())


def test_a_run_while_the_clock_stands_still_is_made_again() -> None:
    ticks = iter(range(0, 10**9, 5))
    still = {7, 20, 21, 22}
    last, calls = 0, 0

    def clock_ns() -> int:
        nonlocal last, calls
        calls += 1
        if calls not in still:
            last = next(ticks)
        return last

    gauge = Gauge(lambda: None, clock_ns)
    assert min(gauge.read() for _ in range(20)) > 0
    with pytest.raises(ConfigError, match="the clock stood still over 100 runs"):
        Gauge(lambda: None, lambda: 7)


def test_a_steady_board_is_measured_as_it_is() -> None:
    times, said, slow = measure(Board(lambda now: 1.0))
    assert times == pytest.approx(TIMES, rel=1e-6)
    assert (said, slow) == ([], 0)


def test_a_board_that_throttles_for_good_is_named_and_survived() -> None:
    times, said, _ = measure(Board(lambda now: 1.0 if now < 5 else 0.6), patience_s=10)
    assert times == pytest.approx(TIMES, rel=0.02)  # as at full speed
    assert "slowed down: the gauge takes 1.67 times as long" in said[0]
    assert "it stays slow" in said[1]
    assert len(said) == 2


def test_a_board_that_throttles_for_a_while_is_waited_for() -> None:
    times, said, slow = measure(Board(lambda now: 0.5 if 6 < now < 20 else 1.0))
    assert times == pytest.approx(TIMES, rel=0.02)
    assert "slowed down" in said[0]
    assert "it recovered after" in said[1]
    assert slow == 0


def test_models_that_never_saw_full_speed_are_marked() -> None:
    fast = [Visit(0.5, 10.0, 5.0)]
    assert summarise(fast, 10.0).slow == 1.0
    throttled = [Visit(0.5, 16.0, 8.0), Visit(0.5, 15.0, 7.5)]
    found = summarise(throttled, 10.0)
    assert found.slow == pytest.approx(1.5)
    assert found.ms == pytest.approx(5.0)  # at full speed


def test_a_jump_within_a_visit_does_not_move_the_median_ratio() -> None:
    gauge = [10.0] * 4 + [20.0] * 3
    model = [5.0] * 3 + [7.5] + [10.0] * 2
    assert paired(model, gauge) == Visit(0.5, 10.0, 5.0)


def test_visits_that_agree_settle_a_model_and_others_do_not() -> None:
    protocol = Protocol(rounds=6, least=3, agreement=0.005)
    alike = [Visit(0.5 + 0.0005 * k, 10.0, 5.0) for k in range(3)]
    apart = [Visit(0.5 + 0.05 * k, 10.0, 5.0) for k in range(5)]
    assert is_settled(alike, protocol)
    assert not is_settled(alike[:2], protocol)
    assert not is_settled(apart, protocol)
    assert is_settled([*apart, apart[0]], protocol)  # no more rounds


def test_whole_networks_have_a_gauge_of_their_own() -> None:
    board = Board(lambda now: 1.0)
    found = measure_tasks(
        [Task("o0", lambda: board.model(3.0)), Task("n0", lambda: board.model(60.0), LARGE)],
        {SMALL: board.model(2.0), LARGE: board.model(50.0)},
        board.clock_ns,
        Protocol(rounds=2, least=2, burst=2, visit_ms=0.0),
    )
    assert found["o0"].ms == pytest.approx(3.0)
    assert found["n0"].ms == pytest.approx(60.0)


# ------------------------------------------------------------------ the machine


@pytest.fixture
def pi(tmp_path: Path) -> Machine:
    files = {
        "proc/cpuinfo": "processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B\n",
        "proc/loadavg": "1.50 0.9 0.5 1/99 1234\n",
        "proc/meminfo": "MemTotal: 3884000 kB\nMemAvailable:   102400 kB\n",
        "sys/class/thermal/thermal_zone0/temp": "81500\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "80008\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(str(tmp_path))


def test_a_board_says_how_it_is(pi: Machine) -> None:
    assert pi.processor() == "Raspberry Pi 4 Model B"
    conditions = pi.conditions()
    assert conditions["governor"] == "ondemand"
    assert conditions["frequency_mhz"] == "1500"
    assert conditions["temperature_c"] == "81.5"
    assert conditions["throttled"] == "0x80008"
    assert conditions["memory_mib"] == "100"


def test_what_makes_times_uncertain_is_said_with_the_way_out(pi: Machine) -> None:
    governor, load, memory = pi.warnings()
    assert "governor is ondemand" in governor
    assert "scaling_governor" in governor
    assert "load 1.5" in load
    assert "only 100 MiB" in memory


def test_a_machine_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path))
    assert machine.warnings() == []
    assert set(machine.conditions()) == {"python", "numpy", "cores"}
    assert machine.processor()


def test_an_arm_core_without_a_name_is_told_by_its_numbers(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert Machine(str(tmp_path)).processor() == "ARM core 0xd08 of maker 0x41"
