"""In-memory twin of the ``Broker`` port: fills at once, and loses responses on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sep_fx.instrument import Instrument
from sep_guard.domain.market import ZERO, Account, Holding, Quote
from sep_guard.domain.orders import Intent, Outcome, Result
from sep_guard.ports import Prices
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError

RATE = Decimal("0.02")


@dataclass
class Position:
    """Signed units, managed and manual."""

    managed: Decimal = ZERO
    manual: Decimal = ZERO


class MemoryBroker:
    """One account with a fixed balance, at prices that the test sets.

    Each order takes the next of ``faults``: ``lost_response`` fills and returns UNKNOWN,
    ``lost_order`` returns UNKNOWN and never arrives.
    """

    def __init__(self, clock: Clock, *instruments: str, balance: int = 100_000) -> None:
        self._clock = clock
        self.balance = Decimal(balance)
        self.rules = {i: Instrument(i, 5, 0, Decimal(1), RATE) for i in instruments}
        self.mids = dict.fromkeys(instruments, Decimal("1.10000"))
        self.positions = {i: Position() for i in instruments}
        self.placed: list[Intent] = []
        self.fills: dict[str, Result] = {}
        self.faults: list[str] = []
        self.before_place: Callable[[Intent], Awaitable[None]] | None = None
        self.down = self.prices_down = False
        self._placing = False
        self.overlapped = False

    def trade_manually(self, instrument: str, units: int) -> None:
        self.positions[instrument].manual += units

    async def account(self) -> Account:
        self._check_available()
        # No plan may read the account while an order of another plan is in flight.
        self.overlapped |= self._placing
        used = sum(
            (abs(p.managed + p.manual) * self.mids[i] * RATE for i, p in self.positions.items()),
            ZERO,
        )
        return Account(
            balance=self.balance,
            nav=self.balance,
            margin_used=used,
            margin_available=self.balance - used,
            last_transaction_id=str(len(self.fills)),
        )

    async def holdings(self) -> Mapping[str, Holding]:
        self._check_available()
        return {
            i: Holding(managed=p.managed, manual=p.manual)
            for i, p in self.positions.items()
            if p.managed or p.manual
        }

    async def prices(self, instruments: Sequence[str]) -> Prices:
        self._check_available()
        if self.prices_down:
            raise BrokerUnavailableError("no prices")
        half, now = Decimal("0.00005"), now_ms(self._clock)
        quotes = {
            i: Quote(bid=m - half, ask=m + half, ts_ms=now, tradeable=True)
            for i, m in self.mids.items()
            if i in instruments
        }
        return Prices(quotes, {r.quote: Decimal(1) for r in self.rules.values()})

    async def instruments(self) -> Mapping[str, Instrument]:
        self._check_available()
        return self.rules

    async def place(self, intent: Intent) -> Result:
        if self.before_place is not None:
            await self.before_place(intent)
        self._placing = True
        await asyncio.sleep(0)
        try:
            return self._place(intent)
        finally:
            self._placing = False

    async def look_up(self, intent: Intent) -> Result | None:
        self._check_available()
        return self.fills.get(intent.client_order_id)

    def _check_available(self) -> None:
        if self.down:
            raise BrokerUnavailableError("the broker is down")

    def _place(self, intent: Intent) -> Result:
        unknown = Result(
            outcome=Outcome.UNKNOWN, reason="PEER_UNAVAILABLE", filled_units=ZERO, fill_price=None
        )
        self.placed.append(intent)
        fault = self.faults.pop(0) if self.faults else ""
        if self.down or fault == "lost_order":
            return unknown
        result = self.fills.get(intent.client_order_id) or self._fill(intent)
        return unknown if fault == "lost_response" else result

    def _fill(self, intent: Intent) -> Result:
        position, units = self.positions[intent.instrument], intent.units
        before = self._net(position)
        if intent.reduce_only:
            held = before
            if held * units >= 0:
                result = Result(
                    outcome=Outcome.CANCELLED,
                    reason="REDUCE_ONLY_NOTHING_TO_REDUCE",
                    filled_units=ZERO,
                    fill_price=None,
                )
                self.fills[intent.client_order_id] = result
                return result
            units = max(units, -held) if held > 0 else min(units, -held)
        # Managed trades are closed first, then manual ones; the rest opens a managed trade.
        for kind in ("managed", "manual"):
            held = getattr(position, kind)
            if held * units < 0:
                part = max(units, -held) if held > 0 else min(units, -held)
                setattr(position, kind, held + part)
                units -= part
        position.managed += units
        units = self._net(position) - before
        result = Result(
            outcome=Outcome.FILLED,
            reason="",
            filled_units=units,
            fill_price=self.mids[intent.instrument],
        )
        self.fills[intent.client_order_id] = result
        return result

    @staticmethod
    def _net(position: Position) -> Decimal:
        return position.managed + position.manual
