"""Follows the account's transactions and recovers those that a stream missed."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.newest_transaction import NewestTransaction
from sep_gateway.domain.ledger import Ledger, disagreement
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.transactions import UNREADABLE, Transaction, TransactionPage
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, Heartbeat, Streams

_log = get_logger("Ledger")

_RESETS_AFTER = 3


class LedgerMonitor:
    """Follows the transaction stream and requests missing transactions.

    The stream only makes it fast: the account summary names the newest id as well, and missing
    transactions are requested by id. Until they have arrived the ledger is not contiguous, and
    nothing may be opened.

    Args:
        on_heartbeat: called with the broker's time of each heartbeat of the stream.
    """

    def __init__(
        self,
        broker: Broker,
        streams: Streams,
        metrics: GatewayMetrics,
        *,
        newest: NewestTransaction,
        left_out: LeftOutMembers,
        on_heartbeat: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._broker = broker
        self._newest = newest
        self._left_out = left_out
        self._on_heartbeat = on_heartbeat
        self._streams = streams
        self._ledger: Ledger | None = None
        self._recovery = asyncio.Lock()
        self._broken = False
        self._lower_in_a_row = 0
        self._contiguous = metrics.ledger_contiguous
        self._recovered = metrics.ledger_recovered

    @property
    def contiguous(self) -> bool:
        """Whether no transaction is known to be missing; False before the first id."""
        return self._ledger is not None and self._ledger.contiguous

    @property
    def last_id(self) -> int | None:
        """Id up to which nothing is missing; None before the first id."""
        return None if self._ledger is None else self._ledger.seen

    async def announce(self, transaction_id: int) -> None:
        """Take note of the account's newest transaction id; recover what is missing.

        Raises:
            BrokerUnavailableError: the recovery failed; the ledger is not contiguous.
        """
        if self._ledger is None:
            # Nothing was missed before the start: positions are read in full.
            self._set(Ledger(seen=transaction_id, newest=transaction_id))
        lower = transaction_id < self._started().seen
        self._lower_in_a_row = self._lower_in_a_row + 1 if lower else 0
        if self._lower_in_a_row >= _RESETS_AFTER and await self._is_reset(transaction_id):
            _log.warning("ledger reset", previous=self._started().seen, now=transaction_id)
            self._set(Ledger(seen=transaction_id, newest=transaction_id))
            self._newest.reset(transaction_id)
        self._newest.note(transaction_id)
        self._set(self._started().announced(transaction_id))
        await self._catch_up()

    async def _is_reset(self, transaction_id: int) -> bool:
        """Whether the ledger itself ends below what was seen: it is another account's.

        A lower id alone is a view that lags, and views may lag for long.
        """
        self._lower_in_a_row = 0
        page = await self._broker.transactions_since(transaction_id)
        return page.last_id < self._started().seen

    async def follow(self, on_line: Callable[[], None]) -> None:
        """Read the transaction stream until it breaks.

        Args:
            on_line: called for every line.

        Raises:
            BrokerUnavailableError: it broke, or a gap could not be closed.
        """
        self._left_out.report("transaction stream", ())
        async with aclosing(self._streams.transactions()) as stream:
            async for item in stream:
                on_line()
                if isinstance(item, LeftOut):
                    # The next heartbeat or summary shows that a transaction is missing.
                    self._left_out.add("transaction stream", item)
                elif not isinstance(item, Heartbeat):
                    await self._receive(item)
                elif item.last_transaction_id is not None:
                    self._on_heartbeat(item.time_ns)
                    # The first heartbeat comes at once, so a new stream starts without a gap.
                    await self.announce(item.last_transaction_id)

    async def _receive(self, transaction: Transaction) -> None:
        self._newest.note(transaction.id)
        if transaction.type == UNREADABLE:
            self._report_unreadable(transaction)
        if self._ledger is None:
            self._set(Ledger(seen=transaction.id, newest=transaction.id))
        elif transaction.id > self._ledger.seen:
            if transaction.id == self._ledger.seen + 1:
                # One behind a gap is logged in order, by the recovery.
                self._log(transaction, "stream")
            self._set(self._ledger.received(transaction.id))
        await self._catch_up()

    async def _catch_up(self) -> None:
        async with self._recovery:
            if self._started().contiguous:
                return
            try:
                page = await self._missing(self._started().seen)
            except BrokerUnavailableError as error:
                if not self._broken:
                    _log.warning("ledger has a gap", seen=self._started().seen, error=str(error))
                self._broken = True
                raise
            missed = [t for t in page.transactions if t.id > self._started().seen]
            for transaction in missed:
                self._log(transaction, "lookup")
            self._recovered.inc(len(missed))
            self._set(self._started().recovered(page.last_id))
            if self._broken:
                self._broken = False
                _log.info("ledger contiguous again", seen=page.last_id, recovered=len(missed))

    async def _missing(self, seen: int) -> TransactionPage:
        """Transactions after ``seen``; the list and the account changes must agree on them."""
        page = await self._broker.transactions_since(seen)
        self._left_out.report("transactions", page.unread)
        if any(not member.name for member in page.left_out):
            raise BrokerUnavailableError(f"a transaction after {seen} has no id that can be read")
        changes = await self._broker.changes_since(seen)
        if ids := disagreement(page, changes):
            raise BrokerUnavailableError(
                f"the transaction list and the account changes after {seen} differ in {ids[:5]}"
            )
        return page

    def _started(self) -> Ledger:
        if self._ledger is None:
            raise AssertionError("no transaction id is known yet")
        return self._ledger

    def _set(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._contiguous.set(ledger.contiguous)

    def _report_unreadable(self, transaction: Transaction) -> None:
        self._left_out.add(
            "transaction stream",
            LeftOut(kind="transaction", name=str(transaction.id), text=transaction.details.fault),
        )

    def _log(self, transaction: Transaction, source: str) -> None:
        if transaction.type in ("ORDER_FILL", "ORDER_CANCEL") or "MARGIN_CALL" in transaction.type:
            _log.info(
                "transaction",
                id=transaction.id,
                type=transaction.type,
                reason=transaction.reason,
                instrument=transaction.instrument,
                units=str(transaction.units),
                # Only a close has one.
                pl="" if transaction.realized_pl is None else f"{transaction.realized_pl:.2f}",
                client_order_id=transaction.client_order_id,
                source=source,
            )
