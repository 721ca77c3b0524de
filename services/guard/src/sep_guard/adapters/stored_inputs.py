"""The inputs of a view that stand in Valkey."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sep_fx.granularity import Granularity
from sep_kit.clock import Clock
from sep_kit.errors import CorruptRecordError, UnavailableError
from sep_kit.logging import get_logger
from sep_kit.ops.status import StatusReader
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document, read_document
from sep_kit.store.records import ManifoldRecord, SignalRecord, WeightsRecord
from sep_kit.store.signals import SignalStore

from sep_guard.adapters.input_records import manifold_of, signal_of, weights_of
from sep_guard.adapters.order_records import TradeStopRecord
from sep_guard.domain.market import Manifold, Signal, Weights
from sep_guard.domain.stop_guard import DecidedStop

_log = get_logger("PortfolioManager")
# A hanging store must not delay reductions.
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInputs:
    """Signals and live manifolds by instrument, and the rest of the stored state.

    The defaults are those of a store that can't be read: they let no entry pass.
    """

    signals: Mapping[str, Signal] = field(default_factory=dict)
    manifolds: Mapping[str, Manifold] = field(default_factory=dict)
    weights: Weights | None = None
    margin_open: bool = False
    unknown_orders: frozenset[str] = frozenset()
    link_sound: bool = False
    decided_stops: Mapping[str, DecidedStop] | None = None


class StoredInputsReader:
    """Reads the stored inputs of a view.

    Args:
        unknown_orders: reads the instruments with orders of unknown outcome.
    """

    def __init__(
        self,
        store: Valkey,
        granularity: Granularity,
        unknown_orders: Callable[[], Awaitable[frozenset[str]]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._granularity = granularity
        self._signals = SignalStore(store)
        self._status = StatusReader(store, clock)
        self._unknown_orders = unknown_orders

    async def read(self, instruments: Sequence[str]) -> StoredInputs | None:
        """The stored inputs; None when Valkey does not answer in time."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._read(instruments)
        except (UnavailableError, TimeoutError) as error:
            # Positions can still be reduced; every entry lacks one of its conditions.
            _log.warning("state can't be read: no entry passes", error=str(error) or "timeout")
            return None

    async def _read(self, instruments: Sequence[str]) -> StoredInputs:
        signals = await self._signals.latest(instruments)
        manifolds = await self._signals.manifolds(instruments)
        gate = await reply(self._store.get(keys.MARGIN_GATE))
        unknown_orders = await self._unknown_orders()
        weights, link_sound = await self._weights(), await self._link_sound()
        return StoredInputs(
            signals={
                i: signal_of(s, self._granularity)
                for i, s in signals.items()
                if isinstance(s, SignalRecord)
            },
            manifolds={
                i: manifold_of(m) for i, m in manifolds.items() if isinstance(m, ManifoldRecord)
            },
            weights=weights,
            # A lost gate counts as closed; below MARGIN_HYST_LOW it opens by itself.
            margin_open=gate == b"open",
            unknown_orders=unknown_orders,
            link_sound=link_sound,
            decided_stops=await self._decided_stops(),
        )

    async def newest_transaction(self) -> int:
        """The newest transaction that the gateway has heard of; 0 where that is not known."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                link = await self._status.broker_link()
        except (UnavailableError, TimeoutError):
            return 0
        return 0 if link is None else link.last_transaction_id or 0

    async def _decided_stops(self) -> dict[str, DecidedStop]:
        stored = await reply(self._store.hgetall(keys.TRADE_STOPS))
        found = {}
        for field_, raw in stored.items():
            client_id = field_.decode(errors="replace")
            try:
                record = parse_document(TradeStopRecord, f"{keys.TRADE_STOPS} {client_id}", raw)
                found[client_id] = record.to_stop()
            except CorruptRecordError as error:
                # The trade's stop is then made from the current signal when it is lost.
                _log.warning("stop of a trade unreadable", error=str(error))
        return found

    async def _weights(self) -> Weights | None:
        try:
            record = await read_document(self._store, WeightsRecord, keys.ALLOCATION_WEIGHTS)
        except CorruptRecordError as error:
            _log.warning("weights unreadable", error=str(error))
            return None
        return None if record is None else weights_of(record)

    async def _link_sound(self) -> bool:
        link = await self._status.broker_link()
        return link is not None and link.connected and link.ledger_contiguous
