"""The guard's state in Valkey, written under the writer lease."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

from redis.asyncio.client import Pipeline
from sep_kit.errors import CorruptRecordError, NotTheWriterError, StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import parse_document
from sep_kit.store.kill_switch import queue_kill_switch
from sep_kit.store.lease import Lease
from sep_kit.store.records import KillSwitchChange

from sep_guard.adapters.decision_records import (
    DecisionRecord,
    DrainRecord,
    FlattenRecord,
    LogRecord,
    OrderRecord,
    RiskRecord,
)
from sep_guard.adapters.order_records import IntentRecord, StopRecord, TradeStopRecord
from sep_guard.adapters.risk_records import RefusedOrderRecord
from sep_guard.adapters.risk_state import queue_risk_state
from sep_guard.domain.actions import Action, Plan
from sep_guard.domain.drain import Close, DrainLimits
from sep_guard.domain.limits import GuardLimits, PortfolioLimits
from sep_guard.domain.orders import Intent, Result
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.refused_orders import RefusedOrder
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.stop_guard import StopRepair
from sep_guard.domain.view import View
from sep_guard.ports import StoredOrders, Writes

_LOG_LENGTH = 20_000
STORED_TYPES = {
    keys.GUARD_DECISIONS: "stream",
    keys.KILL_SWITCH_AUDIT: "stream",
    keys.ALLOC_BUDGET: "hash",
    keys.MARGIN_GATE: "string",
    keys.MANAGED_UNITS: "hash",
    keys.OPEN_ORDERS: "hash",
    keys.REFUSED_ORDERS: "hash",
}


class ValkeyGuardStore:
    """``GuardStore`` over Valkey and the lease of the guard."""

    def __init__(self, store: Valkey, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._not_recorded: str | None = None

    async def recording(self) -> str | None:
        """Why the last write failed; None while decisions are recorded."""
        return self._not_recorded

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it can know by itself."""
        return self._lease.held

    @property
    def is_away(self) -> bool:
        """Whether the last renewal of the lease failed because Valkey did not answer."""
        return self._lease.store_unavailable

    @property
    def fencing_token(self) -> int:
        """Token of the lease that this replica held last; 0 for none."""
        return self._lease.last_token

    async def commit(self, writes: Writes) -> None:
        """Carry out the writes in one transaction.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was written.
            StoreUnavailableError: Valkey does not answer; it may have written.
        """
        try:
            await self._lease.write(lambda pipe: writes(_PipelineTransaction(pipe)))
        except StoreUnavailableError as error:
            self._not_recorded = f"decisions can't be recorded: {error}"
            raise
        except NotTheWriterError:
            self._not_recorded = None  # the other replica records
            raise
        self._not_recorded = None

    async def open_orders(self) -> dict[str, StoredOrders]:
        """Persisted orders of unknown outcome, by instrument.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        stored = await reply(self._store.hgetall(keys.OPEN_ORDERS))
        intents: dict[str, list[Intent]] = defaultdict(list)
        faults: dict[str, list[str]] = defaultdict(list)
        for field, raw in stored.items():
            instrument = field.decode(errors="replace").partition(":")[0]
            try:
                record = parse_document(IntentRecord, f"{keys.OPEN_ORDERS} {instrument}", raw)
                intents[record.instrument].append(record.to_intent())
            except CorruptRecordError as error:
                faults[instrument].append(str(error))
        return {
            name: StoredOrders(tuple(intents[name]), tuple(faults[name]))
            for name in sorted({*intents, *faults})
        }


class _PipelineTransaction:
    """``Transaction`` that queues commands on a pipeline."""

    def __init__(self, pipe: Pipeline) -> None:
        self._pipe = pipe

    def save_budget(self, view: View, plan: Plan, limits: PortfolioLimits) -> None:
        account, budget = view.account, plan.budget
        values = {
            "balance": str(account.balance),
            "margin_available": str(account.margin_available),
            "margin_used": str(account.margin_used),
            "target_pct": str(limits.target_pct),
            "budget": str(budget.total),
            "per_instrument_cap": str(budget.per_instrument),
            "ts": str(view.now_ms),
        }
        self._pipe.hset(keys.ALLOC_BUDGET, mapping=values)  # type: ignore[arg-type]

    def save_margin_gate(self, is_open: bool) -> None:
        self._pipe.set(keys.MARGIN_GATE, "open" if is_open else "closed")

    def save_risk_state(self, state: RiskState) -> None:
        queue_risk_state(self._pipe, state)

    def engage_kill_switch(self, change: KillSwitchChange) -> None:
        queue_kill_switch(self._pipe, change)

    def record_risk_event(self, event: RiskEvent) -> None:
        self._append(RiskRecord.of(event))

    def record_decision(
        self, decision_id: str, action: Action, view: View, limits: GuardLimits
    ) -> None:
        self._append(DecisionRecord.of(decision_id, action, view, limits))

    def record_close(
        self,
        decision_id: str,
        close: Close,
        view: View,
        portfolio: PortfolioLimits,
        limits: DrainLimits,
    ) -> None:
        self._append(DrainRecord.of(decision_id, close, view, portfolio, limits))

    def record_flatten(self, decision_id: str, close: Close, view: View) -> None:
        self._append(FlattenRecord.of(decision_id, close, view))

    def save_managed_units(self, units: Mapping[str, Decimal], ts_ms: int) -> None:
        values = {i: f"{held:f}" for i, held in units.items() if held}
        values["ts"] = str(ts_ms)
        self._pipe.delete(keys.MANAGED_UNITS)
        self._pipe.hset(keys.MANAGED_UNITS, mapping=values)  # type: ignore[arg-type]

    def record_outcome(self, intent: Intent, result: Result, ts_ms: int) -> None:
        self._append(OrderRecord.of(intent, result, ts_ms))

    def save_refused_order(self, order: RefusedOrder) -> None:
        text = RefusedOrderRecord.of(order).model_dump_json()
        self._pipe.hset(keys.REFUSED_ORDERS, mapping={order.client_order_id: text})

    def record_stop(self, decision_id: str, repair: StopRepair, outcome: str, ts_ms: int) -> None:
        self._append(StopRecord.of(decision_id, repair, outcome, ts_ms))

    def save_trade_stop(self, intent: Intent) -> None:
        if intent.stop_loss is None:
            return
        text = TradeStopRecord(stop=intent.stop_loss, ts=intent.sent_ms).model_dump_json()
        self._pipe.hset(keys.TRADE_STOPS, mapping={intent.client_order_id: text})

    def delete_trade_stops(self, client_order_ids: Sequence[str]) -> None:
        if client_order_ids:
            self._pipe.hdel(keys.TRADE_STOPS, *client_order_ids)

    def save_open_order(self, intent: Intent) -> None:
        text = IntentRecord.of(intent).model_dump_json()
        self._pipe.hset(keys.OPEN_ORDERS, mapping={_field(intent): text})

    def delete_open_order(self, intent: Intent) -> None:
        self._pipe.hdel(keys.OPEN_ORDERS, _field(intent))

    def _append(self, record: LogRecord) -> None:
        text = record.model_dump_json()
        self._pipe.xadd(
            keys.GUARD_DECISIONS, {"decision": text}, maxlen=_LOG_LENGTH, approximate=True
        )


def _field(intent: Intent) -> str:
    return f"{intent.instrument}:{intent.client_order_id}"
