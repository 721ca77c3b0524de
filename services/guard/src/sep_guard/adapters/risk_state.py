"""The risk state in Valkey."""

from collections.abc import Awaitable
from typing import Any

from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError
from sep_kit.errors import CorruptRecordError, StoreUnavailableError
from sep_kit.logging import get_logger
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import D, Document, parse_document

from sep_guard.adapters.risk_records import (
    ActivityRecord,
    EquityRecord,
    LocksRecord,
    RefusedOrderRecord,
    TripRecord,
    unreadable_lock,
)
from sep_guard.domain.risk.breaker import BreakerCause, Trip
from sep_guard.domain.risk.locks import Lock
from sep_guard.domain.risk.refused_orders import RefusedOrder
from sep_guard.domain.risk.state import RiskState

_log = get_logger("RiskLimits")


class RiskStateStore:
    """Reads the risk state.

    A missing state has not begun. A damaged baseline or count, or counts that are missing while
    a baseline exists, are named in ``RiskState.damaged``; a damaged breaker counts as tripped, and
    damaged locks of an instrument as a lock that a person has to lift.
    """

    def __init__(self, store: Valkey) -> None:
        self._store = store

    async def load(self) -> RiskState:
        """The stored state.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        damaged: list[str] = []
        equity = await self._document(EquityRecord, keys.RISK_EQUITY, damaged)
        activity = await self._document(ActivityRecord, keys.RISK_ACTIVITY, damaged)
        if activity is None and equity is not None and not damaged:
            # Written together: without the counts, transfers since then would look like losses.
            damaged.append(f"{keys.RISK_ACTIVITY} (missing)")
        locks = await self._locks(damaged)
        return RiskState(
            equity=None if equity is None else equity.to_state(),
            activity=None if activity is None else activity.to_state(),
            trip=await self._trip(),
            locks=locks,
            refused=await self._refused(),
            damaged=tuple(damaged),
        )

    async def _document(self, schema: type[D], key: str, damaged: list[str]) -> D | None:
        try:
            raw = await _value(self._store.get(key), key)
            return None if raw is None else parse_document(schema, key, raw)
        except CorruptRecordError as error:
            _log.error("risk state unreadable", key=key, error=str(error))
            damaged.append(key)
            return None

    async def _trip(self) -> Trip | None:
        damaged: list[str] = []
        record = await self._document(TripRecord, keys.RISK_BREAKER, damaged)
        if damaged:
            return Trip(
                cause=BreakerCause.BASELINE,
                ts_ms=0,
                observed=None,
                allowed=None,
                reason=f"stored and unreadable: {keys.RISK_BREAKER}",
            )
        return None if record is None else record.to_trip()

    async def _locks(self, damaged: list[str]) -> dict[str, tuple[Lock, ...]]:
        try:
            stored = await _value(self._store.hgetall(keys.RISK_LOCKS), keys.RISK_LOCKS)
        except CorruptRecordError as error:
            _log.error("locks unreadable", error=str(error))
            damaged.append(keys.RISK_LOCKS)
            return {}
        found = {}
        for field, raw in stored.items():
            instrument = field.decode(errors="replace")
            try:
                record = parse_document(LocksRecord, f"{keys.RISK_LOCKS} {instrument}", raw)
                found[instrument] = record.to_locks()
            except CorruptRecordError as error:
                found[instrument] = (unreadable_lock(instrument, str(error)),)
        return found

    async def _refused(self) -> tuple[RefusedOrder, ...]:
        """Refused orders that are not counted yet; one that can't be read costs that one."""
        try:
            stored = await _value(self._store.hgetall(keys.REFUSED_ORDERS), keys.REFUSED_ORDERS)
        except CorruptRecordError as error:
            _log.error("refused orders unreadable", error=str(error))
            return ()
        found = []
        for raw in stored.values():
            try:
                record = parse_document(RefusedOrderRecord, keys.REFUSED_ORDERS, raw)
                found.append(record.to_order())
            except CorruptRecordError as error:
                _log.error("refused order unreadable", error=str(error))
        return tuple(found)


async def _value(command: Awaitable[Any], key: str) -> Any:
    """The reply; ``CorruptRecordError`` where the key holds another type."""
    try:
        return await reply(command)
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, ResponseError) and "WRONGTYPE" in str(error.__cause__):
            raise CorruptRecordError(f"{key} has another type", key=key) from error
        raise


def queue_risk_state(pipe: Pipeline, state: RiskState) -> None:
    """Queue the whole state; parts that are gone are deleted."""
    documents: tuple[tuple[str, Document | None], ...] = (
        (keys.RISK_EQUITY, None if state.equity is None else EquityRecord.of(state.equity)),
        (keys.RISK_ACTIVITY, None if state.activity is None else ActivityRecord.of(state.activity)),
        (keys.RISK_BREAKER, None if state.trip is None else TripRecord.of(state.trip)),
    )
    for key, record in documents:
        if record is None:
            pipe.delete(key)
        else:
            pipe.set(key, record.model_dump_json())
    if state.taken_in:
        pipe.hdel(keys.REFUSED_ORDERS, *state.taken_in)
    pipe.delete(keys.RISK_LOCKS)
    if state.locks:
        fields = {i: LocksRecord.of(held).model_dump_json() for i, held in state.locks.items()}
        pipe.hset(keys.RISK_LOCKS, mapping=fields)  # type: ignore[arg-type]
