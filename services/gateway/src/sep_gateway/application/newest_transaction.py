"""The newest transaction of the account that any answer of the broker has named."""

from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker


class NewestTransaction:
    """Views of the account that do not include it are older than what the gateway knows."""

    def __init__(self, broker: Broker, metrics: GatewayMetrics) -> None:
        self._broker = broker
        self._gauge = metrics.newest_transaction
        self._id = 0

    @property
    def id(self) -> int:
        """The id; 0 before the first answer."""
        return self._id

    async def known(self) -> int:
        """The id; asks the broker before the first answer.

        Raises:
            BrokerUnavailableError: there was no answer yet, and the broker does not respond.
        """
        if not self._id:
            self.note(await self._broker.last_transaction_id())
        return self._id

    def note(self, transaction_id: int) -> None:
        """Take note of an id; a lower one changes nothing."""
        if transaction_id > self._id:
            self._id = transaction_id
            self._gauge.set(transaction_id)

    def reset(self, transaction_id: int) -> None:
        """Begin again at an id: the account behind the answers is another one."""
        self._id = transaction_id
        self._gauge.set(transaction_id)
