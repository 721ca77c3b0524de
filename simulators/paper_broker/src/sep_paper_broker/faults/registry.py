"""The faults to inject: which kind, how often and into which requests."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from sep_fx.instants import NS_PER_SECOND

from sep_paper_broker.faults.kinds import (
    ON_ACCOUNT,
    ON_CANDLES,
    ON_CLOSES,
    ON_ORDERS,
    ON_REQUESTS,
    ON_STREAMS,
    CorruptValue,
    Fault,
    FaultKind,
)


class InvalidFaultError(ValueError):
    """The description of a fault is invalid; the text names the field."""


_FIELDS: dict[str, type | tuple[type, ...]] = {
    "times": int,
    "seconds": (int, float, Decimal),
    "status": int,
    "method": str,
    "path": str,
    "instrument": str,
    "count": int,
    "value": str,
    "units": (int, str, Decimal),
    "distance": (int, float, str, Decimal),
    "trade": str,
    "members": str,
    "field": str,
    "text": str,
    "json": str,
}
_DECIMALS = ("units", "distance")


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
        for name in _DECIMALS:
            if name in given:
                given[name] = _decimal(name, given[name])
        if "seconds" in given:
            given["seconds"] = float(given["seconds"])
        try:
            re.compile(given.get("path", ""))
        except re.error:
            raise InvalidFaultError("path is not a regular expression") from None
        try:
            json.loads(given.get("json", "null"))
        except ValueError:
            raise InvalidFaultError("json is not a JSON value") from None
        fault = Fault(id=self._next, kind=kind, **given)
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
        """The fault to apply to a request; None if there is none."""
        for fault in self._of(ON_REQUESTS):
            if fault.method in (None, method) and re.search(fault.path, path):
                return self._consume(fault)
        return None

    def take_stream_fault(self, path: str) -> FaultKind | None:
        """The fault of an open stream. A silent stream does not count as a use."""
        for fault in self._of(ON_STREAMS):
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

    def take_order_faults(self, instrument: str, *, closing: bool) -> tuple[Fault, ...]:
        """The faults of an order.

        Args:
            closing: the order closes a trade or a position; it opens no trade.
        """
        kinds = ON_CLOSES if closing else ON_ORDERS
        return tuple(self._consume(f) for f in self._of(kinds) if f.applies_to(instrument))

    def take_odd_members(self, path: str) -> tuple[Fault, ...]:
        """The faults that change single members of a response."""
        faults = self._of({FaultKind.ODD_MEMBER})
        return tuple(self._consume(f) for f in faults if re.search(f.path, path))

    def take_stale_view(self, path: str) -> Fault | None:
        """The fault that delays a view of the account."""
        for fault in self._of({FaultKind.STALE_VIEWS}):
            if re.search(fault.path, path):
                return self._consume(fault)
        return None

    @property
    def longest_view_delay(self) -> float | None:
        """The longest delay of views in seconds; None if none is delayed."""
        return max((f.seconds for f in self._of({FaultKind.STALE_VIEWS})), default=None)

    @property
    def requires_guaranteed_stops(self) -> bool:
        """Whether the account requires guaranteed stop losses.

        A fault of one instrument rejects that instrument's orders and leaves the account's mode.
        """
        return any(f.instrument is None for f in self._of({FaultKind.GUARANTEED_STOP_REQUIRED}))

    def on_account(self) -> list[Fault]:
        """The faults that change the account; ``use`` counts their uses."""
        return self._of(ON_ACCOUNT)

    def use(self, fault: Fault) -> bool:
        """Count one use of a fault; False if it is no longer active."""
        active = self._faults.get(fault.id)
        if active is None:
            return False
        self._consume(active)
        return True

    def delisted(self, instruments: Iterable[str]) -> frozenset[str]:
        """The delisted ones among the instruments."""
        return self._instruments(FaultKind.DELISTED, instruments)

    def halted(self, instruments: Iterable[str]) -> frozenset[str]:
        """The halted ones among the instruments."""
        return self._instruments(FaultKind.HALTED, instruments)

    def _instruments(self, kind: FaultKind, instruments: Iterable[str]) -> frozenset[str]:
        faults = self._of({kind})
        return frozenset(i for i in instruments if any(f.applies_to(i) for f in faults))

    def take_candle_faults(self, instrument: str) -> tuple[Fault, ...]:
        """The faults of a response with candles, for ``corrupt_candles``."""
        return tuple(self._consume(f) for f in self._of(ON_CANDLES) if f.applies_to(instrument))

    def _of(self, kinds: Iterable[FaultKind]) -> list[Fault]:
        # Called several times a request, nearly always without an active fault.
        if not self._faults:
            return []
        wanted = frozenset(kinds)
        return [fault for fault in self._faults.values() if fault.kind in wanted]

    def _consume(self, fault: Fault) -> Fault:
        if fault.times is not None:
            if fault.times <= 1:
                self._faults.pop(fault.id, None)
            else:
                self._faults[fault.id] = replace(fault, times=fault.times - 1)
        return fault


def _decimal(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidFaultError(f"{name} is not a number")
    return number
