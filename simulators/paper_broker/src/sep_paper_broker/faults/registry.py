"""The faults to inject: which kind, how often and into which requests."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sep_fx.instants import NS_PER_SECOND


class FaultKind(StrEnum):
    """The kinds of faults."""

    LATENCY = "latency"
    STATUS = "status"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    HANG = "hang"
    SILENT_STREAM = "silent_stream"
    DUPLICATE_HEARTBEAT = "duplicate_heartbeat"
    MISSING_HEARTBEAT = "missing_heartbeat"
    UNREADABLE_ORDER = "unreadable_order"
    INCOMPLETE_CANDLES = "incomplete_candles"
    MISSING_CANDLES = "missing_candles"
    HALTED = "halted"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    CUT_STREAM = "cut_stream"
    HALF_OPEN_STREAM = "half_open_stream"
    BAD_CANDLES = "bad_candles"
    BAD_PRICES = "bad_prices"


class CorruptValue(StrEnum):
    """How the prices of a candle or a quote are corrupted."""

    ZERO = "zero"
    CROSSED = "crossed"
    NOT_FINITE = "not_finite"
    UNPARSABLE = "unparsable"
    HIGH_BELOW_LOW = "high_below_low"


_ON_REQUESTS = frozenset(
    {
        FaultKind.LATENCY,
        FaultKind.STATUS,
        FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER,
        FaultKind.HANG,
    }
)


_ON_STREAMS = frozenset({FaultKind.SILENT_STREAM, FaultKind.CUT_STREAM, FaultKind.HALF_OPEN_STREAM})
_ON_CANDLES = frozenset(
    {FaultKind.MISSING_CANDLES, FaultKind.INCOMPLETE_CANDLES, FaultKind.BAD_CANDLES}
)


class InvalidFaultError(ValueError):
    """The description of a fault is invalid; the text names the field."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One active fault.

    Attributes:
        id: number of the fault.
        kind: what it does.
        times: how many times it is still applied; None until it is removed.
        seconds: duration (latency, unreadable order).
        status: HTTP status (status).
        method: only requests with this method.
        path: only requests with a match of this regular expression in their path.
        instrument: only this instrument (candles, prices, halted, insufficient margin).
        count: number of the newest candles affected.
        value: how prices are corrupted (bad candles, bad prices).
    """

    id: int
    kind: FaultKind
    times: int | None = None
    seconds: float = 0.5
    status: int = 500
    method: str | None = None
    path: str = ""
    instrument: str | None = None
    count: int = 1
    value: CorruptValue = CorruptValue.ZERO

    def applies_to(self, instrument: str) -> bool:
        """Whether the fault applies to the instrument."""
        return self.instrument in (None, instrument)


_FIELDS: dict[str, type | tuple[type, ...]] = {
    "times": int,
    "seconds": (int, float, Decimal),
    "status": int,
    "method": str,
    "path": str,
    "instrument": str,
    "count": int,
    "value": str,
}


class FaultRegistry:
    """The active faults. A fault with ``times`` is removed after its last use.

    Methods named ``take_...`` count as one use of the fault they return.
    """

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next = 1
        self._hidden: dict[str, int] = {}

    @property
    def faults(self) -> list[Fault]:
        """All active faults, oldest first."""
        return list(self._faults.values())

    def add(self, description: dict[str, Any]) -> Fault:
        """Add a fault.

        Raises:
            InvalidFaultError: a kind or field is unknown, or a value has the wrong type.
        """
        given = dict(description)
        try:
            kind = FaultKind(given.pop("kind", None))
        except ValueError:
            raise InvalidFaultError(f"kind must be one of {', '.join(FaultKind)}") from None
        for name, value in given.items():
            if name not in _FIELDS:
                raise InvalidFaultError(f"unknown field {name!r}")
            if isinstance(value, bool) or not isinstance(value, _FIELDS[name]):
                raise InvalidFaultError(f"{name} has the wrong type")
        if "value" in given:
            try:
                given["value"] = CorruptValue(given["value"])
            except ValueError:
                raise InvalidFaultError(f"value must be one of {', '.join(CorruptValue)}") from None
        if "seconds" in given:
            given["seconds"] = float(given["seconds"])
        try:
            re.compile(given.get("path", ""))
        except re.error:
            raise InvalidFaultError("path is not a regular expression") from None
        fault = Fault(self._next, kind, **given)
        self._next += 1
        self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        """Remove a fault; False if there is none with the id."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self._hidden.clear()

    def take_request_fault(self, method: str, path: str) -> Fault | None:
        """The fault of a request."""
        for fault in self._of(_ON_REQUESTS):
            if fault.method in (None, method) and re.search(fault.path, path):
                return self._consume(fault)
        return None

    def take_stream_fault(self, path: str) -> FaultKind | None:
        """The fault of an open stream. A silent stream does not count as a use."""
        for fault in self._of(_ON_STREAMS):
            if re.search(fault.path, path):
                if fault.kind is not FaultKind.SILENT_STREAM:
                    self._consume(fault)
                return fault.kind
        return None

    def take_price_fault(self, instrument: str) -> Fault | None:
        """The fault of a price that is about to be sent."""
        for fault in self._of({FaultKind.BAD_PRICES}):
            if fault.applies_to(instrument):
                return self._consume(fault)
        return None

    def heartbeats(self) -> int:
        """How many heartbeats to send when one is due."""
        for fault in self._of({FaultKind.MISSING_HEARTBEAT, FaultKind.DUPLICATE_HEARTBEAT}):
            self._consume(fault)
            return 0 if fault.kind is FaultKind.MISSING_HEARTBEAT else 2
        return 1

    def order_created(self, order_id: str, now_ns: int) -> None:
        """Hide a new order if a fault makes it unreadable for a while."""
        for fault in self._of({FaultKind.UNREADABLE_ORDER}):
            self._consume(fault)
            self._hidden[order_id] = now_ns + int(fault.seconds * NS_PER_SECOND)

    def hides(self, order_id: str, now_ns: int) -> bool:
        """Whether an order is hidden."""
        return self._hidden.get(order_id, now_ns) > now_ns

    def refuses_margin(self, instrument: str) -> bool:
        """Whether to cancel an order for insufficient margin; counts as a use."""
        for fault in self._of({FaultKind.INSUFFICIENT_MARGIN}):
            if fault.applies_to(instrument):
                self._consume(fault)
                return True
        return False

    def halted(self, instruments: Iterable[str]) -> frozenset[str]:
        """Those of the instruments that are halted."""
        faults = list(self._of({FaultKind.HALTED}))
        return frozenset(i for i in instruments if any(f.applies_to(i) for f in faults))

    def take_candle_faults(self, instrument: str) -> tuple[Fault, ...]:
        """The faults of a response with candles, for ``corrupt_candles``."""
        return tuple(self._consume(f) for f in self._of(_ON_CANDLES) if f.applies_to(instrument))

    def _of(self, kinds: Iterable[FaultKind]) -> list[Fault]:
        wanted = frozenset(kinds)
        return [fault for fault in self._faults.values() if fault.kind in wanted]

    def _consume(self, fault: Fault) -> Fault:
        if fault.times is not None:
            if fault.times <= 1:
                self._faults.pop(fault.id, None)
            else:
                self._faults[fault.id] = replace(fault, times=fault.times - 1)
        return fault
