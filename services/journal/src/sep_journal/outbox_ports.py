"""What notifications need from outside: the outbox, the stack's state, and what sends."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sep_journal.domain.notifications import Level, Notification, StackState


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message for one destination, and how often it has failed."""

    key: str
    destination: str
    level: Level
    title: str
    body: str
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The outcome of sending; ``error`` is empty once it was delivered, and names no URL."""

    delivery: Delivery
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """Deliveries that are overdue; ``oldest_ms`` is the time of the oldest one's event."""

    count: int
    oldest_ms: int | None


class Outbox(Protocol):
    """The outbox in the journal's database; operations raise ``JournalUnavailableError``.

    A message is stored in the transaction that moves past the event that it is made of, so that
    none is lost and none is made twice. ``destinations`` are names without a secret.
    """

    async def collect(self, destinations: Sequence[str], now_ms: int) -> bool:
        """Make messages of the ledger and the decisions; whether there may be more."""
        ...

    async def observed(self) -> StackState:
        """What was observed last."""
        ...

    async def observe(self, state: StackState, destinations: Sequence[str], now_ms: int) -> None:
        """Make messages of what changed since the last observation."""
        ...

    async def summarised_day(self) -> int | None:
        """End of the last day that was summarised, in ms; None before the first."""
        ...

    async def begin_days(self, end_ms: int) -> None:
        """Days that end up to ``end_ms`` are not summarised."""
        ...

    async def summarise(
        self, summary: Notification | None, end_ms: int, destinations: Sequence[str], now_ms: int
    ) -> None:
        """Make the summary of a day, with the lines of its digest."""
        ...

    async def due(self, destinations: Sequence[str], now_ms: int, size: int) -> Sequence[Delivery]:
        """At most ``size`` deliveries that are due, oldest first."""
        ...

    async def record(self, attempts: Sequence[Attempt], now_ms: int) -> None:
        """Record the outcomes of attempts."""
        ...

    async def undelivered(self, destinations: Sequence[str], now_ms: int) -> Undelivered:
        """What is overdue."""
        ...


class Watched(Protocol):
    """The stack's state in Valkey."""

    async def read(self, before: StackState) -> StackState:
        """Gates, weights, and the changes of kill switch and parameters since an observation.

        Where it has no position no change is read, only the end of the record.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        ...


class Destinations(Protocol):
    """The URLs that messages are sent to."""

    def read(self) -> Mapping[str, str]:
        """URLs by name. The URLs are secret; the names are not, and stay the same."""
        ...


class Sender(Protocol):
    """Sends messages."""

    def send(
        self, urls: Mapping[str, str], deliveries: Sequence[Delivery]
    ) -> AsyncIterator[Attempt]:
        """Send, and yield each outcome as it is known. An attempt that does not end fails."""
        ...


class HeartbeatFailedError(Exception):
    """The watcher did not take a ping; the message names no URL."""


class Heartbeat(Protocol):
    """Pings an outside watcher."""

    async def ping(self) -> None:
        """Ping it once.

        Raises:
            HeartbeatFailedError: it did not take the ping; the message names no URL.
        """
        ...
