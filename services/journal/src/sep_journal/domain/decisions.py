"""Recorded decisions: which of them repeat the one before."""

from dataclasses import dataclass
from decimal import Decimal

REFUSAL = "REFUSAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One record of ``guard:decisions``.

    ``record`` is its JSON. ``client_order_id`` and ``trade_id`` belong to the outcome of an order,
    ``quote_mid`` and ``signal_mid`` to a decision.
    """

    id: str
    ts_ms: int
    event: str
    kind: str
    instrument: str
    reasons: tuple[str, ...]
    record: str
    client_order_id: str = ""
    trade_id: int = 0
    quote_mid: Decimal | None = None
    signal_mid: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A decision as stored, with its repetitions."""

    seq: int
    id: str
    ts_ms: int
    event: str
    kind: str
    instrument: str
    reasons: tuple[str, ...]
    count: int
    last_ts_ms: int
    last_id: str
    record: str = ""


def repeats(decision: Decision, previous: StoredDecision | None) -> bool:
    """Whether a refusal has the same reasons as what was recorded before of its instrument."""
    return (
        previous is not None
        and decision.kind == previous.kind == REFUSAL
        and decision.event == previous.event
        and decision.instrument == previous.instrument
        and decision.reasons == previous.reasons
    )
