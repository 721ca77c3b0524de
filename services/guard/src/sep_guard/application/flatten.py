"""Flatten: halt, then close everything that the stack manages."""

from collections.abc import Callable
from dataclasses import dataclass

from sep_kit.errors import InvalidArgumentError, ReadOnlyError
from sep_kit.logging import get_logger

from sep_guard.application.closing import Closed, Closing
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
        new_id: Callable[[], str],
        metrics: GuardMetrics,
    ) -> None:
        self._source = source
        self._closing = closing
        self._kill_switch = kill_switch
        self._new_id = new_id
        self._metrics = metrics

    async def plan(self, *, include_manual: bool) -> tuple[View, tuple[Close, ...]]:
        """What would be closed now; nothing is engaged and nothing is sent."""
        view = await self._source.view()
        return view, plan_flatten(view.markets.values(), include_manual=include_manual)

    async def execute(
        self, *, reason: str, actor: str, include_manual: bool, flatten_id: str = ""
    ) -> Flattened:
        """Engage the kill switch, then close. Without Valkey it closes as well.

        Raises:
            InvalidArgumentError: no reason.
            ReadOnlyError: READ_ONLY refuses every order; the kill switch is engaged.
            NotTheWriterError: another replica holds the lease; the kill switch is engaged.
            UnavailableError: the broker does not answer; the kill switch is engaged.
        """
        if not reason.strip():
            raise InvalidArgumentError("reason: must be given to flatten")
        await self._kill_switch.engage(f"flatten: {reason}", actor)
        return await self.close_all(flatten_id or self._new_id(), include_manual=include_manual)

    async def close_all(self, flatten_id: str, *, include_manual: bool) -> Flattened:
        """Close everything; the kill switch is engaged already.

        Raises: as ``execute`` does, but for the reason.
        """
        async with self._closing.exclusive():
            await self._closing.settle()
            view, closes = await self.plan(include_manual=include_manual)
            if view.controls.read_only:
                raise ReadOnlyError("READ_ONLY=1 refuses every order; restart without it")
            closed = tuple([await self._close(flatten_id, close, view) for close in closes])
            view, remaining = await self.plan(include_manual=include_manual)
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
