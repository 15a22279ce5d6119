"""Building a table: operators become rows, whole networks the correction and the error."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from supernet.errors import ConfigError
from supernet.latency.correction import Correction, fit_correction
from supernet.latency.fit_operators import with_work_model
from supernet.latency.held_out import HeldOut
from supernet.latency.kit.plan import FIT, HOLD_OUT
from supernet.latency.kit.protocol import Timing
from supernet.latency.results import KitResult
from supernet.latency.table import LatencyTable, Row
from supernet.space import Operator

__all__ = ["IDENTITY", "is_same_device", "table_of"]

Values = npt.NDArray[np.float64]
Whole = Sequence[tuple[Sequence[Operator], Timing]]

_LEAST_FIT = 4  # networks that the correction needs
IDENTITY = ("processor", "gpu", "machine", "system", "runtime", "runtime_version", "provider")
"""What a device and its runtime are told apart by."""


def is_same_device(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether device and runtime are the same."""
    return all(one.get(key) == other.get(key) for key in IDENTITY)


def table_of(
    results: Sequence[KitResult], target: str, *, known: LatencyTable | None = None
) -> LatencyTable:
    """The table of what one or more runs on one device measured.

    The times are added up, corrected by a line that is fitted to the networks that the
    plans set aside for it, for each space its own, and checked on the others. Spaces
    that were not measured are corrected as that of the first result.

    Args:
        results: of the same device, runtime and settings; operators and networks of all.
        target: name of the table.
        known: a table of the same target whose rows, and corrections of other spaces, are kept
            where nothing newer is there.

    Raises:
        ConfigError: results of different devices or settings, unfinished ones, the same
            one twice, or too few networks for a correction.
    """
    first = results[0]
    for other in results[1:]:
        _check_same(first, other)
    for result in results:
        _check_complete(result, known)
    _check_once(results)
    rows = dict(known.rows) if known else {}
    rows |= _rows(results)
    corrections = {result.plan.space: _correction(results, result, rows) for result in results}
    predicted: list[float] = []
    measured: list[float] = []
    for result in results:
        if check := result.network_timings(HOLD_OUT):
            sums, counts, times, params = _features(check, rows)
            own = corrections[result.plan.space]
            predicted += own.apply(sums, counts, params).tolist()
            measured += times.tolist()
    held_out = HeldOut()
    if measured:
        held_out = HeldOut(
            predicted_ms=tuple(predicted),
            measured_ms=tuple(measured),
            space=", ".join(corrections),
            space_hash=", ".join(dict.fromkeys(result.plan.space_hash for result in results)),
        )
    every = {name: known.correction_of(name) for name in known.spaces} if known else {}
    every |= corrections
    table = LatencyTable(
        target=target,
        device=_device(results),
        precision=first.settings.precision,
        threads=first.settings.threads,
        batch=first.settings.batch,
        protocol=_protocol(results),
        rows=rows,
        correction=corrections[first.plan.space],
        corrections=every if len(every) > 1 else {},
        held_out=held_out,
    )
    return with_work_model(table)  # for operators of other spaces


def _correction(
    results: Sequence[KitResult], result: KitResult, rows: Mapping[Operator, Row]
) -> Correction:
    """Fitted to the networks of one space, of all results that have some."""
    same = [other for other in results if other.plan.space == result.plan.space]
    fit = [network for other in same for network in other.network_timings(FIT)]
    if len(fit) < _LEAST_FIT:
        raise ConfigError(
            f"{result.source}: {len(fit)} networks for the correction, at least {_LEAST_FIT} needed"
        )
    return fit_correction(*_features(fit, rows))


def _features(networks: Whole, rows: Mapping[Operator, Row]) -> tuple[Values, ...]:
    """Sum of rows, number of operators, measured time, learned values; each ``(N,)``."""
    found = [
        (
            sum(rows[operator].ms for operator in operators),
            len(operators),
            timing.ms,
            sum(operator.params for operator in operators),
        )
        for operators, timing in networks
    ]
    sums, counts, measured, params = np.array(found, dtype=np.float64).T
    return sums, counts, measured, params


def _rows(results: Sequence[KitResult]) -> dict[Operator, Row]:
    """Every operator's row; the faster where two runs measured it."""
    rows: dict[Operator, Row] = {}
    for result in results:
        for operator, timing in result.operator_timings().items():
            if operator not in rows or timing.ms < rows[operator].ms:
                ms, spread_ms = _short(timing.ms), _short(timing.spread_ms)
                rows[operator] = Row(operator=operator, ms=ms, spread_ms=spread_ms)
    return rows


def _short(value: float) -> float:
    """To six digits: more is noise, and fills files."""
    return float(f"{value:.6g}")


def _check_same(first: KitResult, other: KitResult) -> None:
    differ = [
        f"{key} ({first.device.get(key)!r}, {other.device.get(key)!r})"
        for key in IDENTITY
        if first.device.get(key) != other.device.get(key)
    ]
    differ += [] if first.settings == other.settings else ["settings"]
    if differ:
        raise ConfigError(
            f"{first.source} and {other.source} differ in {', '.join(differ)}",
            hint="one table is of one device, runtime and setting: build them one by one",
        )


def _check_once(results: Sequence[KitResult]) -> None:
    for first, other in itertools.combinations(results, 2):
        if replace(first, source="") == replace(other, source=""):
            raise ConfigError(
                f"{first.source} and {other.source} are the same run, whose networks would count "
                "twice in the correction and the error",
                hint="give each result once",
            )


def _check_complete(result: KitResult, known: LatencyTable | None) -> None:
    have = known.rows if known else {}
    timings = result.operator_timings()
    missing = [o for o in result.operators if o not in timings and o not in have]
    if missing:
        raise ConfigError(
            f"{result.source}: {len(missing)} of {len(result.operators)} operators were not "
            f"measured, the first is {missing[0].key!r}",
            hint="run the kit again with the same -o to go on",
        )


def _device(results: Sequence[KitResult]) -> dict[str, str]:
    latest = max(results, key=lambda result: result.device.get("measured_at", ""))
    kept = {key: value for key, value in latest.conditions.items() if not key.startswith("load")}
    return {**latest.device, **kept}


def _protocol(results: Sequence[KitResult]) -> dict[str, Any]:
    protocol = dict(results[0].protocol)
    protocol["seconds"] = round(sum(result.seconds for result in results), 1)
    protocol["not_at_full_speed"] = sum(result.slow for result in results)
    protocol["resolutions"] = sorted({s for result in results for s in result.plan.resolutions})
    if len(results) == 1:
        uses = [network.use for network in results[0].plan.networks]
        protocol["networks"] = {use: uses.count(use) for use in (FIT, HOLD_OUT)}
    return protocol
