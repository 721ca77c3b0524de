"""Faults that act on the account: lost and moved stops, margin closeouts, stale views."""

from sep_fx.instants import NS_PER_SECOND

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.snapshot import frozen_view
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.faults.kinds import Fault, FaultKind
from sep_paper_broker.faults.registry import FaultRegistry
from sep_paper_broker.orders.order import StopLossOrder
from sep_paper_broker.orders.requests import StopLossDetails, TradeOrdersRequest

_STOP = frozenset({"stop_loss"})


class AccountFaults:
    """Applies the faults of a registry to the account and to views of it.

    Changes to stops are made as by a person: their transactions carry the reasons of a client's
    request and no request id.
    """

    def __init__(self, faults: FaultRegistry) -> None:
        self._faults = faults
        self._moved: set[str] = set()
        # Versions of the account with the time of each, oldest first. Empty without stale views.
        self._views: list[tuple[int, Account]] = []

    def apply(self, account: Account, now_ns: int) -> None:
        """Apply the faults that change the account. Call before every use of the account."""
        self._keep_views(account, now_ns)
        for fault in self._faults.on_account():
            if fault.kind is FaultKind.MARGIN_CLOSEOUT:
                if account.book.instruments_held() and self._faults.use(fault):
                    account.close_out(now_ns)
                continue
            for trade in account.book.open_trades(fault.instrument):
                if fault.trade in (None, trade.id) and self._stop_to_change(fault, trade):
                    if not self._faults.use(fault):
                        break
                    self._change_stop(account, fault, trade, now_ns)

    def record(self, account: Account, now_ns: int) -> None:
        """Store a version of the changed account while a fault delays its views."""
        if self._faults.longest_view_delay is not None:
            self._views.append((now_ns, frozen_view(account)))

    def view(self, account: Account, path: str, now_ns: int) -> Account:
        """The account as a request to the path sees it: an earlier version under a stale view."""
        fault = self._faults.take_stale_view(path)
        if fault is None or not self._views:
            return account
        visible = now_ns - int(fault.seconds * NS_PER_SECOND)
        return next((v for at, v in reversed(self._views) if at <= visible), self._views[0][1])

    def _keep_views(self, account: Account, now_ns: int) -> None:
        delay = self._faults.longest_view_delay
        if delay is None:
            self._views.clear()
            return
        if not self._views:
            self._views.append((now_ns, frozen_view(account)))
        oldest = now_ns - int(delay * NS_PER_SECOND)
        while len(self._views) > 1 and self._views[1][0] <= oldest:
            self._views.pop(0)

    def _stop_to_change(self, fault: Fault, trade: Trade) -> bool:
        stop = trade.stop_loss_order_id
        return stop is not None and (fault.kind is FaultKind.LOST_STOP or stop not in self._moved)

    def _change_stop(self, account: Account, fault: Fault, trade: Trade, now_ns: int) -> None:
        details = None
        if fault.kind is FaultKind.MOVED_STOP:
            stop = account.book.orders.get(trade.stop_loss_order_id or "")
            if not isinstance(stop, StopLossOrder):
                return
            away = -fault.distance if trade.is_long else fault.distance
            details = StopLossDetails(price=stop.price + away)
        request = TradeOrdersRequest(_STOP, stop_loss=details)
        outcome = account.set_trade_orders(trade.id, request, now_ns)
        if outcome.stop_loss.create is not None:
            self._moved.add(outcome.stop_loss.create.id)
