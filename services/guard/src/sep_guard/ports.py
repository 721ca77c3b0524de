"""The interfaces of the guard to the broker and the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from sep_fx.instrument import Instrument
from sep_kit.store.records import KillSwitchChange

from sep_guard.domain.actions import Action, Plan
from sep_guard.domain.drain import Close, DrainLimits
from sep_guard.domain.limits import Controls, GuardLimits, PortfolioLimits
from sep_guard.domain.market import Account, Quote
from sep_guard.domain.orders import Intent, Result
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.events import RiskEvent
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.risk.refused_orders import RefusedOrder
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.stop_guard import StopOrder, StopRepair, StopSet
from sep_guard.domain.trades import OpenTrades
from sep_guard.domain.view import View


@dataclass(frozen=True, slots=True)
class Prices:
    """Quotes by instrument, and the value of one unit of each currency in home currency."""

    quotes: Mapping[str, Quote]
    home_per_unit: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ParametersInForce:
    """Digest of parameters, and the research run that judged them; empty without one."""

    digest: str
    run: str


class JudgedParameters(Protocol):
    """The parameters that the published gates were judged by."""

    async def read(self) -> Mapping[str, ParametersInForce]:
        """By instrument; none while they can't be read: they inform, and refuse nothing."""
        ...


class Broker(Protocol):
    """The broker's account, and orders to it. Every read may raise ``UnavailableError``."""

    async def account(self, since_id: int = 0) -> Account:
        """The account now, with transaction ``since_id`` where the broker shows it in time.

        One without it means that the ledger has no such transaction.

        Raises:
            StaleViewError: it does not show it yet.
        """
        ...

    async def trades(self, since_id: int = 0) -> OpenTrades:
        """Open trades of all kinds, as ``account`` reads the account."""
        ...

    async def prices(self, instruments: Sequence[str]) -> Prices:
        """Current prices by instrument, and values of currencies in home currency."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """The broker's rules by instrument."""
        ...

    async def own_trades(self) -> Sequence[OwnTrade]:
        """Open trades of this stack."""
        ...

    async def ledger(self, since_id: int, through_id: int) -> LedgerPage:
        """The risk events of the ledger after one transaction, up to another one."""
        ...

    async def place(self, intent: Intent) -> Result:
        """Send an order. A failure that does not prove a refusal is UNKNOWN, never raised.

        With a trade id it closes units of that trade, and touches no other.
        """
        ...

    async def set_stop(self, stop: StopOrder) -> StopSet:
        """Give a trade of this stack a stop in place of the one it may have; never raises."""
        ...

    async def look_up(self, intent: Intent) -> Result | None:
        """The outcome of an order; None when the broker knows no such order."""
        ...


class RiskStates(Protocol):
    """Reads baselines, counts, locks and the breaker as the last cycle persisted them."""

    async def load(self) -> RiskState:
        """The state of the last cycle.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        ...


class ViewSource(Protocol):
    """Reads what a decision is made from."""

    async def view(self) -> View:
        """All inputs of a cycle.

        Raises:
            UnavailableError: the broker's account can't be read, so nothing can be decided.
        """
        ...

    async def controls(self) -> Controls:
        """Kill switch and switches of the settings, now. An unreadable switch is engaged."""
        ...

    def controls_without_store(self) -> Controls:
        """The controls while the store is away: the kill switch counts as engaged."""
        ...


@dataclass(frozen=True, slots=True)
class StoredOrders:
    """Persisted orders of one instrument, and one message per record that can't be read.

    An unreadable record is an order as well: it blocks entries until it is repaired.
    """

    intents: tuple[Intent, ...] = ()
    faults: tuple[str, ...] = ()


class Transaction(Protocol):
    """Named writes that are carried out together, or not at all."""

    def save_budget(self, view: View, plan: Plan, limits: PortfolioLimits) -> None:
        """The budget of a cycle, for operators and other services."""
        ...

    def save_margin_gate(self, is_open: bool) -> None:
        """The margin gate, whose hysteresis survives restarts."""
        ...

    def save_risk_state(self, state: RiskState) -> None:
        """Save the whole risk state: baselines, counts, locks and the breaker."""
        ...

    def engage_kill_switch(self, change: KillSwitchChange) -> None:
        """Engage the kill switch, with its audit entry."""
        ...

    def record_risk_event(self, event: RiskEvent) -> None:
        """Append a trip, an acknowledgement or a lock to the decision log."""
        ...

    def record_decision(
        self, decision_id: str, action: Action, view: View, limits: GuardLimits
    ) -> None:
        """Append a decision with its inputs to the decision log."""
        ...

    def record_close(
        self,
        decision_id: str,
        close: Close,
        view: View,
        portfolio: PortfolioLimits,
        limits: DrainLimits,
    ) -> None:
        """Append one close of a drain with its inputs to the decision log."""
        ...

    def record_flatten(self, decision_id: str, close: Close, view: View) -> None:
        """Append one close of a flatten to the decision log."""
        ...

    def save_managed_units(self, units: Mapping[str, Decimal], ts_ms: int) -> None:
        """The units that this stack answers for by instrument, which the allocator reads."""
        ...

    def record_outcome(self, intent: Intent, result: Result, ts_ms: int) -> None:
        """Append the outcome of an order, as far as it is known, to the decision log."""
        ...

    def save_refused_order(self, order: RefusedOrder) -> None:
        """Remember an entry that the broker refused, until the risk limits have counted it."""
        ...

    def record_stop(self, decision_id: str, repair: StopRepair, outcome: str, ts_ms: int) -> None:
        """Append what was done about a lost or moved stop to the decision log."""
        ...

    def save_trade_stop(self, intent: Intent) -> None:
        """Remember the stop of an entry, for as long as its trade is open."""
        ...

    def delete_trade_stops(self, client_order_ids: Sequence[str]) -> None:
        """Forget the stops of entries whose trades are gone."""
        ...

    def save_open_order(self, intent: Intent) -> None:
        """Persist an order whose outcome is not known."""
        ...

    def delete_open_order(self, intent: Intent) -> None:
        """Remove an order whose outcome is known."""
        ...


Writes = Callable[[Transaction], None]
"""Queues writes on a transaction; may be called again when the commit is retried."""


class GuardStore(Protocol):
    """The guard's state. Only the replica that holds the writer lease may write."""

    @property
    def is_writer(self) -> bool:
        """Whether this replica holds the writer lease, as far as it can know by itself."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether the last renewal of the lease failed because the store did not answer."""
        ...

    @property
    def fencing_token(self) -> int:
        """Token of the lease that this replica held last; 0 for none."""
        ...

    async def commit(self, writes: Writes) -> None:
        """Carry out the writes in one transaction.

        Raises:
            NotTheWriterError: another replica holds the lease; nothing was written.
            StoreUnavailableError: the store does not answer; it may have written.
        """
        ...

    async def open_orders(self) -> dict[str, StoredOrders]:
        """Persisted orders of unknown outcome, by instrument.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        ...
