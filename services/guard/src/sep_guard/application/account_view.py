"""Reads account and trades as of one transaction, never older than the newest known one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sep_kit.errors import SepError, StaleViewError
from sep_kit.logging import get_logger

from sep_guard.application.watermark import Watermark
from sep_guard.domain.market import Account
from sep_guard.domain.trades import OpenTrades
from sep_guard.ports import Broker

_log = get_logger("PortfolioManager")
_READING_S = 1.5
_PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6)
BEHIND_AFTER_S = 60.0
"""After this long the view is used as it is, for exits by trade id alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """Account and trades; ``behind`` if they lack a transaction that is known."""

    account: Account
    trades: OpenTrades
    behind: bool = False


class AccountViewReader:
    """Reads again for a short time while the broker's answer is older than what is known.

    A cycle without a current view is left out, so that nothing is ordered twice. One that stays
    behind for a minute is used after all, since what is held must still be closed in time: it
    is marked, and only whole exits are made from it.
    """

    def __init__(self, broker: Broker, watermark: Watermark, elapsed: Callable[[], float]) -> None:
        self._broker = broker
        self._watermark = watermark
        self._elapsed = elapsed
        self._behind_since: float | None = None

    async def read(self) -> AccountView:
        """The newest view.

        Raises:
            StaleViewError: it lacks a transaction that is known.
            UnavailableError: the broker does not answer.
        """
        view, started = None, self._elapsed()
        for pause in _PAUSES_S:
            await asyncio.sleep(pause)
            # The gateway reads again by itself as well.
            if self._elapsed() - started > _READING_S:
                break
            view = await self._once(self._watermark.newest)
            if view is not None and not view.behind:
                self._behind_since = None
                self._watermark.note(view.account.last_id)
                return view
        now = self._elapsed()
        self._behind_since = now if self._behind_since is None else self._behind_since
        if view is None or now - self._behind_since < BEHIND_AFTER_S:
            raise StaleViewError(
                f"the account does not yet include transaction {self._watermark.newest}"
            )
        _log.error(
            "the account stays behind: only exits are made from it",
            newest_known=self._watermark.newest, account=view.account.last_id,
        )  # fmt: skip
        return view

    async def _once(self, wanted: int) -> AccountView | None:
        (account, current), (trades, trades_current) = await asyncio.gather(
            self._read_account(wanted), self._read_trades(wanted)
        )
        ids = account.last_id, int(trades.last_transaction_id or 0)
        if current and trades_current and ids[0] == ids[1] < wanted:
            # Demanded of the gateway and given without it: for seconds its ledger has had nothing
            # after this view, so an answer named a transaction that does not exist.
            _log.warning("a transaction that was named does not exist", named=wanted, newest=ids[0])
            self._watermark.reset(ids[0])
            return AccountView(account=account, trades=trades)
        # Both as of one transaction: otherwise a fill is in the margin and not in the trades.
        behind = min(ids) < wanted or ids[0] != ids[1]
        if behind:
            self._watermark.note(max(ids))
        return AccountView(account=account, trades=trades, behind=behind)

    async def _read_account(self, wanted: int) -> tuple[Account, bool]:
        """The account, and whether the broker gave it as one that lacks nothing."""
        try:
            return await self._broker.account(wanted), True
        except SepError as error:
            if error.reason != StaleViewError.reason:
                raise
            return await self._broker.account(), False

    async def _read_trades(self, wanted: int) -> tuple[OpenTrades, bool]:
        try:
            return await self._broker.trades(wanted), True
        except SepError as error:
            if error.reason != StaleViewError.reason:
                raise
            return await self._broker.trades(), False
