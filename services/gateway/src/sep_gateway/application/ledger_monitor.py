"""Sees to it that no transaction of the account is missed."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.domain.ledger import Ledger, disagreement
from sep_gateway.domain.transactions import Transaction, TransactionPage
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Beat, Broker, Streams

_log = get_logger("Ledger")

_BELIEVED_LOWER = 3


class LedgerWatch:
    """Follows the transaction stream, and asks for what it missed.

    The stream only makes it quick: the account summary names the newest id as well, and
    whatever is missing is asked for by id. Until the answer is there the ledger counts
    as broken, and nobody may open anything.
    """

    def __init__(self, broker: Broker, streams: Streams, metrics: GatewayMetrics) -> None:
        self._broker = broker
        self._streams = streams
        self._ledger: Ledger | None = None
        self._recovering = asyncio.Lock()
        self._broken = False
        self._lower = 0
        self._contiguous = metrics.ledger_contiguous
        self._recovered = metrics.ledger_recovered

    @property
    def contiguous(self) -> bool:
        """Whether every transaction was seen, as far as is known."""
        return self._ledger is not None and self._ledger.contiguous

    @property
    def last_id(self) -> int | None:
        """Id up to which nothing is missing; None before the first answer."""
        return None if self._ledger is None else self._ledger.seen

    async def heard_of(self, transaction_id: int) -> None:
        """The broker named its newest transaction; ask for those that are missing.

        Raises:
            BrokerUnavailableError: it does not tell; the ledger stays broken.
        """
        if self._ledger is None:
            # Who starts has missed nothing yet: positions are read whole.
            self._set(Ledger(transaction_id, transaction_id))
        self._lower = self._lower + 1 if transaction_id < self._known().seen else 0
        if self._lower >= _BELIEVED_LOWER:
            # Once is an answer that was overtaken; always is another account.
            _log.warning("ledger begins anew", was=self._known().seen, now=transaction_id)
            self._set(Ledger(transaction_id, transaction_id))
        self._set(self._known().heard_of(transaction_id))
        await self._catch_up()

    async def listen(self, heard: Callable[[], None]) -> None:
        """Follow the transaction stream until it breaks.

        Raises:
            BrokerUnavailableError: it broke, or a gap can't be closed.
        """
        async with aclosing(self._streams.transactions()) as stream:
            async for item in stream:
                heard()
                if not isinstance(item, Beat):
                    await self._saw(item)
                elif item.last_transaction_id is not None:
                    # The first beat comes at once, so a new stream starts without a gap.
                    await self.heard_of(item.last_transaction_id)

    async def _saw(self, transaction: Transaction) -> None:
        if self._ledger is None:
            self._set(Ledger(transaction.id, transaction.id))
        elif transaction.id > self._ledger.seen:
            if transaction.id == self._ledger.seen + 1:
                # Behind a gap it is told in its turn, by the lookup.
                self._tell(transaction, "stream")
            self._set(self._ledger.saw(transaction.id))
        await self._catch_up()

    async def _catch_up(self) -> None:
        async with self._recovering:
            if self._known().contiguous:
                return
            try:
                page = await self._missing(self._known().seen)
            except BrokerUnavailableError as error:
                if not self._broken:
                    _log.warning("ledger broken", seen=self._known().seen, error=str(error))
                self._broken = True
                raise
            missed = [t for t in page.transactions if t.id > self._known().seen]
            for transaction in missed:
                self._tell(transaction, "lookup")
            self._recovered.inc(len(missed))
            self._set(self._known().recovered(page.last_id))
            if self._broken:
                self._broken = False
                _log.info("ledger whole again", seen=page.last_id, recovered=len(missed))

    async def _missing(self, seen: int) -> TransactionPage:
        """What came after the seen ones; the list and the account's changes must agree on it."""
        page = await self._broker.transactions_since(seen)
        changes = await self._broker.changes_since(seen)
        if odd := disagreement(page, changes):
            raise BrokerUnavailableError(
                f"the broker's lists of what came after {seen} differ in {odd[:5]}"
            )
        return page

    def _known(self) -> Ledger:
        if self._ledger is None:
            raise AssertionError("the ledger has no beginning yet")
        return self._ledger

    def _set(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._contiguous.set(ledger.contiguous)

    def _tell(self, transaction: Transaction, by: str) -> None:
        if transaction.type in ("ORDER_FILL", "ORDER_CANCEL") or "MARGIN_CALL" in transaction.type:
            _log.info(
                "transaction",
                id=transaction.id,
                type=transaction.type,
                reason=transaction.reason,
                instrument=transaction.instrument,
                units=str(transaction.units),
                client_order_id=transaction.client_order_id,
                heard_by=by,
            )
