"""Reads views of the account that include what the gateway knows to have happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sep_kit.errors import BrokerUnavailableError, StaleViewError
from sep_kit.logging import get_logger

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.newest_transaction import NewestTransaction
from sep_gateway.domain.account import AccountSummary, OpenTrades, Positions
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker

_log = get_logger("AccountReader")

# How long the ledger has to contradict a transaction id before it is taken for a mistake.
_DOUBT_S = 5.0
# The broker's views lag behind its transactions by fractions of a second.
_DELAYS_S = (0.05, 0.1, 0.15, 0.3, 0.4)


class _View(Protocol):
    @property
    def last_transaction_id(self) -> int: ...


V = TypeVar("V", bound=_View)


class AccountReader:
    """Account, positions and trades. A view that is too old is read again for up to a second."""

    def __init__(
        self,
        broker: Broker,
        newest: NewestTransaction,
        kinds: AccountKinds,
        left_out: LeftOutMembers,
        metrics: GatewayMetrics,
    ) -> None:
        self._broker = broker
        self._newest = newest
        self._kinds = kinds
        self._left_out = left_out
        self._stale = metrics.stale_views
        self._doubted_at: float | None = None
        self._doubted_id = 0

    async def account(self, at_least: int | None = None) -> AccountSummary:
        """The account summary.

        Args:
            at_least: a transaction that the view must include; None takes any view.

        Raises:
            StaleViewError: the view includes neither it nor the newest known transaction.
            BrokerUnavailableError: the broker does not respond.
        """
        found = await self._view("account", self._broker.account, at_least)
        if not self._kinds.known:
            # After a start whose first read failed, entries need not wait for the heartbeat.
            self._kinds.observe(found)
            await self._kinds.refresh_if_due()
        return found

    async def positions(self, at_least: int | None = None) -> Positions:
        """Open positions; arguments and errors as of ``account``."""
        found = await self._view("positions", self._broker.positions, at_least)
        self._left_out.report("positions", found.unread)
        return found

    async def open_trades(self, at_least: int | None = None) -> OpenTrades:
        """Open trades; arguments and errors as of ``account``."""
        found = await self._view("open trades", self._broker.open_trades, at_least)
        self._left_out.report("open trades", found.unread)
        return found

    async def _view(self, name: str, read: Callable[[], Awaitable[V]], at_least: int | None) -> V:
        # A transaction that becomes known while the view is read need not be in it.
        wanted = max(at_least or 0, self._newest.id)
        view = await read()
        for delay in _DELAYS_S:
            if view.last_transaction_id >= wanted:
                break
            await asyncio.sleep(delay)
            view = await read()
        self._newest.note(view.last_transaction_id)
        if view.last_transaction_id >= wanted:
            # Only a view that includes the doubted transaction proves that it exists.
            if view.last_transaction_id >= self._doubted_id:
                self._doubted_at = None
        elif not await self._is_current(view.last_transaction_id, wanted):
            self._stale.labels(name).inc()
            if at_least is not None:
                raise StaleViewError(
                    f"the broker's view of {name} ends at transaction "
                    f"{view.last_transaction_id}, but {wanted} is known",
                    wanted=str(wanted),
                    last=str(view.last_transaction_id),
                )
        return view

    async def _is_current(self, last_id: int, wanted: int) -> bool:
        """Whether the ledger has for seconds had nothing after a view that seems too old.

        Then the newer transaction does not exist: an answer named it by mistake, and no view will
        ever include it.
        """
        now = asyncio.get_running_loop().time()
        try:
            page = await self._broker.transactions_since(last_id)
        except BrokerUnavailableError:
            return False
        if page.last_id > last_id:
            self._doubted_at = None
            return False
        if self._doubted_at is None or self._doubted_id != wanted:
            self._doubted_at, self._doubted_id = now, wanted
        if now - self._doubted_at < _DOUBT_S:
            return False
        if self._newest.id > last_id:
            _log.warning("a transaction that was named does not exist", named=self._newest.id)
            self._newest.reset(last_id)
        return True
