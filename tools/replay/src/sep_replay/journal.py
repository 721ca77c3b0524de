"""The output of a replay: events in order, each with the figures behind it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sep_fx.instants import format_seconds
from sep_guard.adapters.decision_records import DecisionRecord


class Topic(StrEnum):
    """The kind of an event."""

    GATE = "gate"
    WEIGHTS = "weights"
    DECISION = "decision"
    ORDER = "order"
    FILL = "fill"
    NAV = "nav"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a replay; ``time`` is event time in seconds."""

    time: int
    topic: Topic
    subject: str
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The event as plain JSON values."""
        return {
            "time": format_seconds(self.time),
            "topic": self.topic.value,
            "subject": self.subject,
            **{k: plain(v) for k, v in self.data.items()},
        }


@dataclass(slots=True)
class Journal:
    """The events of a replay, in their order.

    ``records`` holds each decision as the guard stores it, with every input that it was made from.
    """

    events: list[Event] = field(default_factory=list)
    records: list[DecisionRecord] = field(default_factory=list)

    def add(self, time: int, topic: Topic, subject: str, **data: Any) -> None:
        """Append an event."""
        self.events.append(Event(time, topic, subject, data))

    def of(self, topic: Topic) -> list[Event]:
        """The events of a topic."""
        return [e for e in self.events if e.topic is topic]


def plain(value: Any) -> Any:
    """A domain value as JSON values; decimals become strings, so that none is rounded."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(v) for v in value]
    return value
