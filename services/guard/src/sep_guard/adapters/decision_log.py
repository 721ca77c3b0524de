"""``guard:decisions``: every entry decision and order with its inputs and reasons."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from redis.asyncio.client import Pipeline
from sep_kit.store import keys

from sep_guard.domain.cycle import Action, View
from sep_guard.domain.drain import Close
from sep_guard.domain.limits import GuardLimits
from sep_guard.domain.orders import Intent, Result

_LENGTH = 20_000


def queue_decision(
    pipe: Pipeline, decision_id: str, action: Action, view: View, limits: GuardLimits
) -> None:
    """Queue a decision with everything it was made from, so that it can be made again."""
    market = view.markets[action.instrument]
    weight = view.weights.by_instrument.get(action.instrument) if view.weights else None
    _queue(
        pipe,
        {
            "event": "decision",
            "id": decision_id,
            "ts": view.now_ms,
            "instrument": action.instrument,
            "kind": action.kind,
            "reasons": action.reasons,
            "action": action,
            "account": view.account,
            "market": market,
            "weight": weight,
            "weights_ts": view.weights.ts if view.weights else None,
            "gates_ts": view.weights.gates_ts if view.weights else None,
            "weights_held": view.weights.held if view.weights else None,
            "margin_was_open": view.margin_was_open,
            "controls": view.controls,
            "limits": limits,
        },
    )


def queue_outcome(pipe: Pipeline, intent: Intent, result: Result, ts: int) -> None:
    """Queue what became of an order."""
    _queue(
        pipe,
        {
            "event": "order",
            "id": intent.decision_id,
            "ts": ts,
            "instrument": intent.instrument,
            "client_order_id": intent.client_order_id,
            "units": intent.units,
            "outcome": result.outcome,
            "reason": result.reason,
            "filled_units": result.filled_units,
            "fill_price": result.fill_price,
        },
    )


def queue_drain(pipe: Pipeline, intent: Intent, close: Close, result: Result, ts: int) -> None:
    """Queue one close of a drain and what became of it."""
    _queue(
        pipe,
        {
            "event": "drain",
            "id": intent.decision_id,
            "ts": ts,
            "instrument": close.instrument,
            "close": close,
            "client_order_id": intent.client_order_id,
            "outcome": result.outcome,
            "reason": result.reason,
            "filled_units": result.filled_units,
            "fill_price": result.fill_price,
        },
    )


def _queue(pipe: Pipeline, record: Mapping[str, Any]) -> None:
    text = json.dumps(record, default=_plain, separators=(",", ":"))
    pipe.xadd(keys.GUARD_DECISIONS, {"decision": text}, maxlen=_LENGTH, approximate=True)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
