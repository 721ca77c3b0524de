"""Makes a recorded decision again from its record."""

from dataclasses import dataclass, fields

from pydantic import TypeAdapter
from sep_kit.errors import CorruptRecordError

from sep_guard.adapters.decision_log import parse_record
from sep_guard.adapters.decision_records import DecisionRecord, DrainRecord
from sep_guard.domain.actions import Action
from sep_guard.domain.budget import drain_budget_of
from sep_guard.domain.decision import decide
from sep_guard.domain.drain import Close, plan_drain

_JSON: TypeAdapter[object] = TypeAdapter(object)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A part of a result that differs; both values are JSON."""

    name: str
    recorded: str
    remade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remade:
    """A decision, made again.

    Args:
        same: None for a record that holds no decision, and for one with a fault.
        result: JSON of the result; empty where there is none.
        fault: why the record can't be read.
    """

    same: bool | None = None
    result: str = ""
    differences: tuple[Difference, ...] = ()
    fault: str = ""


def decide_again(record: DecisionRecord) -> Action:
    """The decision, made now from the inputs of its record."""
    return decide(record.to_view(), record.market, record.limits, record.action.room)


def plan_again(record: DrainRecord) -> Close | None:
    """The close, planned now from the inputs of its record; None when there would be none."""
    budget = drain_budget_of(record.account, record.portfolio)
    closes = plan_drain(record.account, record.markets, budget, record.limits).closes
    return next((c for c in closes if c.instrument == record.instrument), None)


def remake(text: str) -> Remade:
    """Make the decision of a record of ``guard:decisions`` again."""
    try:
        record = parse_record(text.encode())
    except CorruptRecordError as error:
        return Remade(fault=str(error))
    if isinstance(record, DecisionRecord):
        return _compared(record.to_action(), decide_again(record))
    if isinstance(record, DrainRecord):
        return _compared(record.close, plan_again(record))
    return Remade()


def _compared(recorded: Action | Close, remade: Action | Close | None) -> Remade:
    pairs = (
        (f.name, getattr(recorded, f.name), getattr(remade, f.name, None)) for f in fields(recorded)
    )
    return Remade(
        same=recorded == remade,
        result="" if remade is None else _json(remade),
        differences=tuple(
            Difference(name=name, recorded=_json(was), remade=_json(now))
            for name, was, now in pairs
            if was != now
        ),
    )


def _json(value: object) -> str:
    return _JSON.dump_json(value).decode()
