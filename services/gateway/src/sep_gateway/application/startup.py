"""The first contact with store and broker, before anything else runs."""

from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger
from sep_kit.refusal import StartRefusedError

from sep_gateway.application.account_kinds import AccountKinds
from sep_gateway.ports import Broker, BrokerAccessError, StoreOwnership

_log = get_logger("Startup")


class Startup:
    """Refuses a start that can't succeed; a broker that is down is waited for.

    Args:
        what_to_check: the settings behind a broker that denies access, with their values.
    """

    def __init__(
        self,
        broker: Broker,
        ownership: StoreOwnership,
        kinds: AccountKinds,
        what_to_check: str,
    ) -> None:
        self._broker = broker
        self._ownership = ownership
        self._kinds = kinds
        self._what_to_check = what_to_check

    async def run(self) -> None:
        """Check the store's account, then the broker's.

        Raises:
            StartRefusedError: the store belongs to another account, or the broker denies access.
            StoreUnavailableError: Valkey does not respond.
        """
        if (fault := await self._ownership.check()) is not None:
            raise StartRefusedError(fault)
        try:
            self._kinds.observe(await self._broker.account())
            await self._kinds.refresh_if_due()
        except BrokerAccessError as error:
            raise self.refusal(error) from error
        except BrokerUnavailableError as error:
            _log.warning("waiting for the broker", error=str(error))

    def refusal(self, error: BrokerAccessError) -> StartRefusedError:
        """One sentence that says what the broker refused and what to check."""
        return StartRefusedError(f"{str(error).rstrip('.')}; check {self._what_to_check}")
