"""The way from a candle to a trade, as far as a decision went."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A step of the way."""

    CANDLE = "candle"
    EVALUATION = "evaluation"
    BLOB = "blob"
    WEIGHTS = "weights"
    DECISION = "decision"
    INTENT = "intent"
    TRANSACTION = "transaction"
    TRADE = "trade"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One step: what it is called, and when it was made."""

    step: Step
    id: str
    ts_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionInputs:
    """What a decision was made from; None where its record does not say.

    ``candle_ms`` is the end of the signal's candle. The evaluation of an instrument is published in
    the blob of the same time.
    """

    decision_id: str
    instrument: str
    ts_ms: int
    candle_ms: int | None = None
    gates_ms: int | None = None
    weights_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTraces:
    """What became of a decision's orders: client order ids, transactions with their times, and
    trades with their openings."""

    orders: Sequence[tuple[str, int]] = ()
    transactions: Sequence[tuple[int, int]] = ()
    trades: Sequence[tuple[int, int]] = ()


def path_of(inputs: DecisionInputs, traces: OrderTraces) -> list[PathStep]:
    """The steps in their order."""
    instrument, gates = inputs.instrument, inputs.gates_ms
    found: list[PathStep] = []
    if inputs.candle_ms is not None:
        found.append(PathStep(step=Step.CANDLE, id=instrument, ts_ms=inputs.candle_ms))
    if gates is not None:
        found.append(PathStep(step=Step.EVALUATION, id=instrument, ts_ms=gates))
        found.append(PathStep(step=Step.BLOB, id=str(gates), ts_ms=gates))
    if inputs.weights_ms is not None:
        found.append(PathStep(step=Step.WEIGHTS, id=instrument, ts_ms=inputs.weights_ms))
    found.append(PathStep(step=Step.DECISION, id=inputs.decision_id, ts_ms=inputs.ts_ms))
    # A record of an order has the time of its outcome, so an intent has that of its decision.
    found += (PathStep(step=Step.INTENT, id=name, ts_ms=at) for name, at in traces.orders)
    for step, members in (
        (Step.TRANSACTION, traces.transactions),
        (Step.TRADE, traces.trades),
    ):
        found += (PathStep(step=step, id=str(number), ts_ms=at) for number, at in members)
    return found
