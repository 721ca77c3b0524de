"""What the journal needs from outside: its database, the ledger, decisions and the account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sep_journal.domain.accounts import Snapshot
from sep_journal.domain.costs import TradeCosts
from sep_journal.domain.decision_path import OrderTraces
from sep_journal.domain.decisions import Decision, StoredDecision
from sep_journal.domain.events import Gates, NewEvent, StoredEvent, Weights
from sep_journal.domain.ledger import Transaction
from sep_journal.domain.performance import DayValue, TradeSums
from sep_journal.domain.trades import Trade

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Times in ms, the first included and the last not; None without a limit."""

    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page: at most ``size`` entries that are older than ``before``, a time or a number and an
    id; None for the newest."""

    size: int
    before: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Entries, newest first; ``next_before`` continues, None on the last page."""

    entries: Sequence[T]
    next_before: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A transaction as stored, with what it changed the balance by."""

    id: int
    ts_ms: int
    type: str
    reason: str
    order_id: str
    client_order_id: str
    instrument: str
    units: str
    price: str
    account_balance: str
    balance_change: str
    transfer: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTrade:
    """A trade with the transactions that changed it."""

    trade: Trade
    transaction_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that performance is computed from.

    Args:
        values: account values at the ends of days, oldest first; returns begin from the first.
        sums: sums of the results of the trades that were closed in the range.
        first_open_ms: when the first trade of all was opened; None without any.
        in_market_ms: how long any trade was open in the range.
        exposure: mean gross position value over the account value; None without a snapshot.
    """

    values: Sequence[DayValue]
    sums: TradeSums
    first_open_ms: int | None
    in_market_ms: int
    exposure: float | None


class Journal(Protocol):
    """The journal's database.

    Every operation raises ``JournalUnavailableError`` if it does not answer.
    """

    async def migrate(self) -> None:
        """Bring the tables up to date."""
        ...

    async def check(self) -> None:
        """Return if the database answers."""
        ...

    async def last_transaction_id(self) -> int:
        """Id of the newest transaction that was taken in; 0 before the first."""
        ...

    async def append_transactions(self, transactions: Sequence[Transaction]) -> int:
        """Take in the next transactions, up to a gap; returns how many were new."""
        ...

    async def decision_position(self) -> str:
        """Stream id of the last decision that was taken in; empty before the first."""
        ...

    async def append_decisions(
        self, decisions: Sequence[Decision], after: str, position: str
    ) -> bool:
        """Take in the decisions after a position; False if others were taken in meanwhile."""
        ...

    async def append_snapshot(self, snapshot: Snapshot) -> None:
        """Take in the account's value."""
        ...

    async def clear_ledger(self) -> None:
        """Remove the ledger and all that is made from it."""
        ...


class JournalReader(Protocol):
    """Reads of the journal; raise ``JournalUnavailableError`` as ``Journal`` does."""

    async def transactions(
        self, page: PageRequest, times: Range, instrument: str, kind: str
    ) -> Page[LedgerEntry]:
        """A page of the ledger, newest first."""
        ...

    async def trades(
        self, page: PageRequest, times: Range, instrument: str, *, only_open: bool
    ) -> Page[ListedTrade]:
        """A page of trades by their opening, newest first."""
        ...

    async def decisions(
        self, page: PageRequest, times: Range, filters: Mapping[str, str]
    ) -> Page[StoredDecision]:
        """Decisions; ``filters`` by instrument, kind and reason."""
        ...

    async def decision(self, decision_id: str) -> Sequence[StoredDecision]:
        """Records of one decision, oldest first; of a refusal, by its first or last id."""
        ...

    async def traces(self, decision_id: str) -> OrderTraces:
        """What became of a decision's orders."""
        ...

    async def history(self, times: Range, now_ms: int) -> History:
        """Everything that performance is computed from."""
        ...

    async def costs(self, times: Range, instrument: str) -> Sequence[TradeCosts]:
        """The parts of trades by their opening."""
        ...


class EventStore(Protocol):
    """The events; raises ``JournalUnavailableError`` as ``Journal`` does."""

    async def event_state(self, source: str) -> str:
        """What a source of events had come to; empty before the first time."""
        ...

    async def append_events(
        self, events: Sequence[NewEvent], source: str, before: str, after: str
    ) -> bool:
        """Add events with what their source came to; False if others did that meanwhile."""
        ...

    async def last_event_id(self) -> int:
        """Id of the newest event; 0 before the first."""
        ...

    async def events_after(self, event_id: int, size: int) -> Sequence[StoredEvent]:
        """At most ``size`` events after an id, oldest first."""
        ...


class Published(Protocol):
    """What the other services publish.

    Every operation raises ``StoreUnavailableError`` if Valkey does not answer.
    """

    async def gates(self) -> Gates | None:
        """The gates; None while there are none that can be read."""
        ...

    async def weights(self) -> Weights | None:
        """The weights; None while there are none that can be read."""
        ...

    async def kill_switch(self, after: str, size: int) -> tuple[Sequence[NewEvent], str]:
        """At most ``size`` changes of the kill switch after a position, and the last position."""
        ...

    async def parameters(self, after: str, size: int) -> tuple[Sequence[NewEvent], str]:
        """Changes of parameters in ``size`` entries after a position, and the last position."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDifference:
    """A part of a decision that differs from its record; both values are JSON."""

    name: str
    recorded: str
    remade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAgain:
    """A decision, made again from its record.

    Args:
        same: None for a record that holds no decision, and with a fault.
        result: JSON; empty where there is none.
        fault: why it could not be made again; empty if it was.
    """

    same: bool | None = None
    result: str = ""
    differences: Sequence[ResultDifference] = ()
    fault: str = ""


class DecisionMaker(Protocol):
    """Makes decisions again by the functions that made them."""

    async def make_again(self, record: str) -> MadeAgain:
        """The decision of a record; a peer that does not answer is a fault, not an error."""
        ...


class Ledger(Protocol):
    """The broker's ledger and account."""

    async def page(self, since_id: int, size: int) -> tuple[Sequence[Transaction], int]:
        """At most ``size`` transactions after an id, and the id of the newest of all.

        Raises:
            PeerUnavailableError: the gateway does not answer.
        """
        ...

    async def snapshot(self) -> Snapshot:
        """The account as it is now; raises as ``page`` does."""
        ...


class DecisionStream(Protocol):
    """Reads ``guard:decisions``."""

    async def read(self, after: str, size: int) -> tuple[Sequence[Decision], str]:
        """At most ``size`` decisions after a position, and the position of the last record.

        The position may be beyond the last decision: what can't be read is logged and passed.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        ...
