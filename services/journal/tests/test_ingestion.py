"""The ledger is taken in page by page: the next one is fetched while one is written."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from sep_journal.application.ingestion import LedgerIngestion
from sep_journal.domain.ledger import Transaction
from sep_journal.metrics import JournalMetrics
from sep_kit.errors import JournalUnavailableError, PeerUnavailableError

SIZE = 10


class Book:
    """A journal that holds ids alone; its disk is full once it holds ``most`` of them."""

    def __init__(self, most: int = 1_000) -> None:
        self.ids: list[int] = []
        self.most = most

    async def last_transaction_id(self) -> int:
        return self.ids[-1] if self.ids else 0

    async def append_transactions(self, transactions: Sequence[Transaction]) -> int:
        if len(self.ids) >= self.most:
            raise JournalUnavailableError("the disk is full")
        before = len(self.ids)
        for entry in transactions:
            if entry.id == len(self.ids) + 1:
                self.ids.append(entry.id)
        return len(self.ids) - before


class Broker:
    """A ledger of ``newest`` entries without those that are missing."""

    def __init__(self, newest: int) -> None:
        self.newest = newest
        self.missing: set[int] = set()
        self.fails_after = newest
        self.asked: list[int] = []

    async def page(self, since_id: int, size: int) -> tuple[Sequence[Transaction], int]:
        self.asked.append(since_id)
        if since_id > self.fails_after:
            raise PeerUnavailableError("the gateway is away")
        ids = range(since_id + 1, min(self.newest, since_id + size) + 1)
        return [Transaction(id=i, ts_ms=i, type="X") for i in ids if i not in self.missing], (
            self.newest
        )


def ingestion(book: Book, broker: Broker) -> LedgerIngestion:
    return LedgerIngestion(
        book,  # type: ignore[arg-type]
        broker,  # type: ignore[arg-type]
        lambda: True,
        SIZE,
        JournalMetrics(CollectorRegistry()),
    )


@pytest.mark.parametrize("newest", [0, 1, SIZE, SIZE + 1, 5 * SIZE])
async def test_every_page_is_asked_for_once(newest: int) -> None:
    book, broker = Book(), Broker(newest)
    assert await ingestion(book, broker).catch_up() == newest
    assert book.ids == list(range(1, newest + 1))
    assert broker.asked == list(range(0, max(newest, 1), SIZE))


async def test_what_came_before_an_outage_of_the_gateway_is_taken_in() -> None:
    book, broker = Book(), Broker(35)
    broker.fails_after = 15
    with pytest.raises(PeerUnavailableError):
        await ingestion(book, broker).catch_up()
    assert book.ids == list(range(1, 21))
    broker.fails_after = 35
    assert await ingestion(book, broker).catch_up() == 35


async def test_a_full_disk_is_the_error_and_not_the_page_that_was_fetched_meanwhile() -> None:
    book, broker = Book(most=20), Broker(35)
    broker.fails_after = 25
    with pytest.raises(JournalUnavailableError):
        await ingestion(book, broker).catch_up()
    assert book.ids == list(range(1, 21))


async def test_a_gap_ends_it_though_the_page_behind_is_there() -> None:
    book, broker = Book(), Broker(35)
    broker.missing.add(15)
    assert await ingestion(book, broker).catch_up() == 14
    broker.missing.clear()
    assert await ingestion(book, broker).catch_up() == 35
    assert book.ids == list(range(1, 36))
