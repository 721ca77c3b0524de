"""Observes account and ledger against the risk limits."""

from collections.abc import Callable, Collection

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import SepError
from sep_kit.logging import get_logger

from sep_guard.domain.market import Account
from sep_guard.domain.risk.ledger_events import LedgerPage
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.monitor import Observed, Reading, observe
from sep_guard.domain.risk.state import RiskState
from sep_guard.ports import Broker, RiskStates

_log = get_logger("RiskLimits")


class RiskMonitor:
    """Makes observations. It persists none: the cycle that asked for one does.

    Args:
        sent: client order ids that this process sent.
    """

    def __init__(
        self,
        broker: Broker,
        states: RiskStates,
        limits: RiskLimits,
        clock: Clock,
        sent: Callable[[], Collection[str]],
    ) -> None:
        self._broker = broker
        self._states = states
        self._limits = limits
        self._clock = clock
        self._sent = sent

    async def observe(self, account: Account) -> Observed:
        """The stored state, updated with the account and the ledger up to its last transaction.

        Raises:
            StoreUnavailableError: the stored state can't be read.
        """
        state = await self._states.load()
        reading = await self._reading(state, account)
        return observe(state, reading, self._limits, now_ms(self._clock))

    async def _reading(self, state: RiskState, account: Account) -> Reading:
        # Both as of the account's own transaction: a transfer that only one of them knew of
        # would look like a gain or a loss.
        through = int(account.last_transaction_id or 0)
        try:
            if state.activity is None:
                trades = await self._broker.own_trades()
                page = LedgerPage(events=(), through_id=through)
                return Reading(nav=account.nav, ledger=page, trades=trades)
            since = state.activity.through_id
            if through < since:
                # Its NAV does not know of transfers that are counted already.
                _log.warning(
                    "the account is older than the ledger: no entry passes",
                    account=through, counted=since,
                )  # fmt: skip
                return Reading(nav=account.nav, ledger=None, trades=())
            page = (
                LedgerPage(events=(), through_id=since)
                if through == since
                else await self._broker.ledger(since, through)
            )
        except SepError as error:
            _log.warning("the ledger can't be read: no entry passes", error=str(error))
            return Reading(nav=account.nav, ledger=None, trades=())
        return Reading(nav=account.nav, ledger=page, trades=(), sent=self._sent())
