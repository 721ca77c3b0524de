"""Flatten: halt, then close everything that the stack manages, or lock and close one instrument."""

from collections.abc import Callable
from dataclasses import dataclass

from sep_kit.errors import InvalidArgumentError, ReadOnlyError, StoreUnavailableError
from sep_kit.logging import get_logger

from sep_guard.application.closing import Closed, Closing
from sep_guard.application.instrument_locks import InstrumentLocks
from sep_guard.application.kill_switch import KillSwitchControl
from sep_guard.domain.drain import Close
from sep_guard.domain.flatten import plan_flatten
from sep_guard.domain.view import View
from sep_guard.metrics import GuardMetrics
from sep_guard.ports import Transaction, ViewSource

_log = get_logger("PortfolioManager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flattened:
    """The result of one call.

    Attributes:
        id: of this flatten; a call with the same id goes on with it.
        closed: the closes that were sent, with the broker's answers.
        remaining: what is still held of what was to be closed.
    """

    id: str
    closed: tuple[Closed, ...]
    remaining: tuple[Close, ...]


class Flatten:
    """Plans from what is held at each call, so that a call that was cut short is repeated.

    The key of an order is made of flatten id, instrument and units held: the same close sent
    twice is one order.
    """

    def __init__(
        self,
        source: ViewSource,
        closing: Closing,
        kill_switch: KillSwitchControl,
        locks: InstrumentLocks,
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._source = source
        self._closing = closing
        self._kill_switch = kill_switch
        self._locks = locks
        self._new_id = new_id
        self._metrics = metrics

    async def plan(self, *, include_manual: bool, only: str = "") -> tuple[View, tuple[Close, ...]]:
        """What would be closed now; nothing is engaged and nothing is sent.

        Args:
            only: the one instrument to close; all of them if empty.

        Raises:
            UnknownInstrumentError: ``only`` is not one of the stack's.
        """
        if only:
            self._locks.check(only)
        view = await self._source.view()
        return view, plan_flatten(view.markets.values(), include_manual=include_manual, only=only)

    async def execute(
        self,
        *,
        reason: str,
        actor: str,
        include_manual: bool,
        flatten_id: str = "",
        only: str = "",
    ) -> Flattened:
        """Engage the kill switch, then close. Without Valkey it closes as well.

        Args:
            only: the one instrument to close, which is locked instead; all of them if empty.

        Raises:
            InvalidArgumentError: no reason.
            UnknownInstrumentError: ``only`` is not one of the stack's; nothing is locked.
            ReadOnlyError: READ_ONLY refuses every order; the switch or the lock holds.
            NotTheWriterError: another replica holds the lease; the kill switch is engaged.
            UnavailableError: the broker does not answer; the switch or the lock holds.
        """
        if not reason.strip():
            raise InvalidArgumentError("reason: must be given to flatten")
        if only:
            await self._lock(only, reason, actor)
        else:
            await self._kill_switch.engage(f"flatten: {reason}", actor)
        flatten_id = flatten_id or self._new_id()
        return await self.close_all(flatten_id, include_manual=include_manual, only=only)

    async def _lock(self, instrument: str, reason: str, actor: str) -> None:
        """Without a lock the next cycle would open again what is closed."""
        try:
            await self._locks.lock(instrument, f"closed by hand: {reason}", actor, None)
        except StoreUnavailableError:
            # It must not stop the close. The kill switch holds without the store.
            await self._kill_switch.engage(f"close of {instrument}: {reason}", actor)

    async def close_all(
        self, flatten_id: str, *, include_manual: bool, only: str = ""
    ) -> Flattened:
        """Close everything, or one instrument; no entry can pass in what is closed already.

        Raises: as ``execute`` does, but for the reason.
        """
        async with self._closing.exclusive():
            await self._closing.settle()
            view, closes = await self.plan(include_manual=include_manual, only=only)
            if view.controls.read_only:
                raise ReadOnlyError("READ_ONLY=1 refuses every order; restart without it")
            closed = tuple([await self._close(flatten_id, close, view) for close in closes])
            view, remaining = await self.plan(include_manual=include_manual, only=only)
        self._metrics.show_account(view.account)
        return Flattened(id=flatten_id, closed=closed, remaining=remaining)

    async def _close(self, flatten_id: str, close: Close, view: View) -> Closed:
        decision_id = f"{flatten_id}:{close.instrument}"
        _log.warning(
            "flatten", instrument=close.instrument, current=str(close.current),
            order=str(close.order), decision_id=decision_id,
        )  # fmt: skip

        def record(transaction: Transaction) -> None:
            transaction.record_flatten(decision_id, close, view)

        return await self._closing.send(decision_id, close, view, record)
