"""Reads what a decision was made from out of its record."""

import json
from typing import Any

from sep_journal.adapters.valkey_decisions import market_of
from sep_journal.domain.decision_path import DecisionInputs
from sep_journal.domain.decisions import StoredDecision


def inputs_of(decision: StoredDecision) -> DecisionInputs:
    """The inputs of a decision; a part that its record does not have is None."""
    record: Any = json.loads(decision.record)
    signal = market_of(record).get("signal") or {}
    return DecisionInputs(
        decision_id=decision.id,
        instrument=decision.instrument,
        ts_ms=decision.ts_ms,
        candle_ms=_time(signal.get("ended_ms")),
        gates_ms=_time(record.get("gates_ts")),
        weights_ms=_time(record.get("weights_ts")),
    )


def _time(value: object) -> int | None:
    return value if isinstance(value, int) else None
