"""The broker's instruments, cached for an hour."""

from collections.abc import Mapping

from sep_fx.instants import NS_PER_SECOND
from sep_fx.instrument import Instrument
from sep_kit.clock import Clock
from sep_kit.errors import BrokerUnavailableError, UnknownInstrumentError
from sep_kit.logging import get_logger

from sep_gateway.ports import Broker

_log = get_logger("Instruments")

REFRESH_S = 3600


class InstrumentCache:
    """Tradeable instruments and their rules."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._by_name: Mapping[str, Instrument] = {}
        self._read_at_ns = 0

    async def refresh(self) -> None:
        """Read the instruments from the broker.

        Raises:
            BrokerUnavailableError: it does not respond; the cache is unchanged.
        """
        self._by_name = {i.name: i for i in await self._broker.instruments()}
        self._read_at_ns = self._clock.now_ns()

    async def refresh_if_due(self) -> None:
        """Refresh once an hour; on failure the cached instruments stay valid.

        Raises:
            BrokerUnavailableError: the refresh failed and the cache is empty.
        """
        if self._clock.now_ns() - self._read_at_ns < REFRESH_S * NS_PER_SECOND:
            return
        try:
            await self.refresh()
        except BrokerUnavailableError as error:
            if not self._by_name:
                raise
            _log.warning("instruments not refreshed", error=str(error))

    async def all(self) -> tuple[Instrument, ...]:
        """Every instrument, sorted by name."""
        return tuple((await self._loaded()).values())

    async def get(self, name: str) -> Instrument:
        """One instrument.

        Raises:
            UnknownInstrumentError: the broker does not trade it.
            BrokerUnavailableError: the cache is empty and the broker does not respond.
        """
        loaded = await self._loaded()
        found = loaded.get(name)
        if found is None:
            raise UnknownInstrumentError(name, list(loaded))
        return found

    async def _loaded(self) -> Mapping[str, Instrument]:
        if not self._by_name:
            await self.refresh()
        return self._by_name
