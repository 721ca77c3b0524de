"""One view of account, market and state, read before a cycle decides."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sep_fx.granularity import Granularity
from sep_fx.instants import NS_PER_MS
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionCalendar
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import CorruptRecordError, SepError, UnavailableError
from sep_kit.logging import get_logger
from sep_kit.ops.status import StatusReader
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import read_document
from sep_kit.store.kill_switch import KillSwitch
from sep_kit.store.records import BracketRecord, ManifoldRecord, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore, signal_end_ns

from sep_guard.adapters.open_orders import OpenOrders
from sep_guard.domain.cycle import View
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Bracket, Holding, Market, Signal, Weights
from sep_guard.ports import Broker, Prices

_log = get_logger("PortfolioManager")
_INSTRUMENTS_MAX_AGE_MS = 3_600_000
# A frozen store must not hold up the way out.
_STORE_TIMEOUT_S = 3.0


class MarketReader:
    """Reads views. What can't be read stands in them as None, which refuses entries."""

    def __init__(
        self,
        instruments: Sequence[str],
        granularity: Granularity,
        calendar: SessionCalendar,
        store: Valkey,
        broker: Broker,
        open_orders: OpenOrders,
        clock: Clock,
        *,
        read_only: bool,
        live_allowed: bool,
    ) -> None:
        self._instruments = tuple(instruments)
        self._granularity = granularity
        self._calendar = calendar
        self._store = store
        self._signals = SignalStore(store)
        self._status = StatusReader(store, clock)
        self._kill_switch = KillSwitch(store)
        self._broker = broker
        self._open_orders = open_orders
        self._clock = clock
        self._read_only = read_only
        self._live_allowed = live_allowed
        self._rules: Mapping[str, Instrument] = {}
        self._rules_ms = 0

    async def view(self) -> View:
        """Everything that a cycle decides on.

        Raises:
            UnavailableError: the broker's account can't be read, so nothing can be decided.
        """
        rules = await self._instrument_rules()
        account, holdings = await asyncio.gather(self._broker.account(), self._broker.holdings())
        names = sorted(i for i in {*self._instruments, *holdings} if i in rules)
        prices = await self._prices(names)
        state = await self._state(names)
        # Without a store there is no kill switch to ask for either, and not knowing is engaged.
        controls = await self.controls() if state else self.halted()
        state = state or _State({}, {}, None, False, frozenset(names), False)
        now = now_ms(self._clock)
        markets = {
            name: Market(
                rules[name],
                self._calendar.state(name, now // 1000),
                state.signals.get(name),
                state.manifolds.get(name),
                prices.quotes.get(name),
                prices.home_per_unit.get(rules[name].quote),
                holdings.get(name, Holding()),
                name in state.unknown_orders,
            )
            for name in names
        }
        return View(
            account,
            markets,
            state.weights,
            state.margin_open,
            controls,
            now,
            state.link_sound,
        )

    async def controls(self) -> Controls:
        """What is allowed at this moment."""
        switch = await self._kill_switch.read()
        return Controls(switch.engaged, self._read_only, self._live_allowed)

    def halted(self) -> Controls:
        """What is allowed while nobody can say: not knowing means engaged."""
        return Controls(True, self._read_only, self._live_allowed)

    async def _instrument_rules(self) -> Mapping[str, Instrument]:
        now = now_ms(self._clock)
        if not self._rules or not 0 <= now - self._rules_ms <= _INSTRUMENTS_MAX_AGE_MS:
            try:
                self._rules, self._rules_ms = await self._broker.instruments(), now
            except SepError as error:
                if not self._rules:
                    raise
                _log.warning("instruments can't be read: the last known stand", error=str(error))
            for instrument in sorted(i for i in self._instruments if i not in self._rules):
                _log.error("the broker does not list an instrument", instrument=instrument)
        return self._rules

    async def _prices(self, names: Sequence[str]) -> Prices:
        try:
            return await self._broker.prices(names)
        except SepError as error:
            # An exit needs no price; an entry does.
            _log.warning("prices can't be read: no entry passes", error=str(error))
            return Prices({}, {})

    async def _state(self, names: Sequence[str]) -> "_State | None":
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                signals = await self._signals.latest(names)
                manifolds = await self._signals.manifolds(names)
                gate = await reply(self._store.get(keys.MARGIN_GATE))
                pending = await self._open_orders.load()
                weights, link = await self._weights(), await self._link_sound()
        except (UnavailableError, TimeoutError) as error:
            # Positions can still be reduced; every entry lacks something it needs.
            _log.warning("state can't be read: no entry passes", error=str(error) or "no answer")
            return None
        return _State(
            {
                i: signal_of(s, self._granularity)
                for i, s in signals.items()
                if isinstance(s, SignalRecord)
            },
            {i: m.ts_ms for i, m in manifolds.items() if isinstance(m, ManifoldRecord)},
            weights,
            # What was lost counts as closed: below MARGIN_HYST_LOW it opens by itself.
            gate == b"open",
            frozenset(pending),
            link,
        )

    async def _weights(self) -> Weights | None:
        try:
            record = await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        except CorruptRecordError as error:
            _log.warning("weights refused", error=str(error))
            return None
        return None if record is None else weights_of(record)

    async def _link_sound(self) -> bool:
        link = await self._status.broker_link()
        return link is not None and link.connected and link.ledger_contiguous


def signal_of(record: SignalRecord, granularity: Granularity) -> Signal:
    """What the guard needs of a signal."""
    metrics, bracket = record.metrics, record.bracket
    return Signal(
        signal_end_ns(record.ts_ns, granularity) // NS_PER_MS,
        metrics.coherence,
        metrics.stability,
        metrics.entropy,
        metrics.rupture,
        record.direction,
        None if bracket is None else _bracket(bracket),
    )


def weights_of(record: WeightsRecord) -> Weights:
    """The weights as exact shares."""
    weights = {i: Decimal(repr(w)) for i, w in record.weights.items()}
    return Weights(record.ts, record.gates_ts, weights, record.held)


def _bracket(record: BracketRecord) -> Bracket:
    return Bracket(
        Decimal(repr(record.stop_distance)),
        Decimal(repr(record.take_profit_distance)),
        None if record.max_spread is None else Decimal(repr(record.max_spread)),
    )


class _State:
    """What the store says."""

    def __init__(
        self,
        signals: Mapping[str, Signal],
        manifolds: Mapping[str, int],
        weights: Weights | None,
        margin_open: bool,
        unknown_orders: frozenset[str],
        link_sound: bool,
    ) -> None:
        self.signals = signals
        self.manifolds = manifolds
        self.weights = weights
        self.margin_open = margin_open
        self.unknown_orders = unknown_orders
        self.link_sound = link_sound
