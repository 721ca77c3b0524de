"""The monitor's verdict on account summaries that name a lower transaction than it has seen."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sep_gateway.application.ledger_monitor import LedgerMonitor
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.application.newest_transaction import NewestTransaction
from sep_gateway.domain.transactions import TransactionPage
from sep_gateway.metrics import GatewayMetrics


class LedgerBroker:
    """A broker of which only the newest transaction of the ledger matters."""

    def __init__(self, newest: int) -> None:
        self.newest = newest

    async def transactions_since(self, transaction_id: int) -> TransactionPage:
        """An empty page that names the newest transaction."""
        return TransactionPage((), self.newest)

    async def changes_since(self, transaction_id: int) -> Any:
        """No test of these asks for it."""
        raise AssertionError("nothing is missing")


def monitor_of(broker: Any) -> tuple[LedgerMonitor, NewestTransaction]:
    metrics = GatewayMetrics(CollectorRegistry())
    newest = NewestTransaction(broker, metrics)
    streams: Any = None
    return (
        LedgerMonitor(broker, streams, metrics, newest=newest, left_out=LeftOutMembers(metrics)),
        newest,
    )


@pytest.mark.parametrize("times", [1, 3, 20])
async def test_summaries_that_stay_old_are_not_taken_for_another_account(times: int) -> None:
    monitor, newest = monitor_of(LedgerBroker(17))
    await monitor.announce(17)
    for _ in range(times):
        await monitor.announce(15)
    assert (monitor.last_id, newest.id) == (17, 17)


async def test_an_account_whose_ledger_ends_lower_starts_again_there() -> None:
    broker = LedgerBroker(17)
    monitor, newest = monitor_of(broker)
    await monitor.announce(17)
    broker.newest = 2
    for _ in range(2):
        await monitor.announce(2)
        assert newest.id == 17
    await monitor.announce(2)
    assert (monitor.last_id, newest.id) == (2, 2)
