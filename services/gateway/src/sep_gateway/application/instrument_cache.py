"""The broker's instruments, cached for an hour."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from sep_fx.freshness import Freshness, age_of
from sep_fx.instrument import Instrument
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError, UnknownInstrumentError
from sep_kit.logging import get_logger

from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.universe import Universe
from sep_gateway.ports import Broker

_log = get_logger("Instruments")

REFRESH_S = 3600
# A traded instrument that the account lacks may come at any time.
_REFRESH_WHILE_LACKING_S = 60


class InstrumentCache:
    """Tradeable instruments and their rules.

    A traded instrument that the account lacks, or that can't be read, is left out; the others
    are not affected.
    """

    def __init__(
        self, universe: Universe, broker: Broker, clock: Clock, left_out: LeftOutMembers
    ) -> None:
        self._universe = universe
        self._broker = broker
        self._clock = clock
        self._members = left_out
        self._by_name: Mapping[str, Instrument] = {}
        self._seen: dict[str, Instrument] = {}
        self._left_out: tuple[LeftOut, ...] = ()
        self._read_ms = 0

    async def refresh(self) -> None:
        """Read the instruments from the broker.

        Raises:
            BrokerUnavailableError: it does not respond; the cache is unchanged.
        """
        found = await self._broker.instruments()
        self._by_name = {i.name: i for i in found.instruments}
        self._seen |= self._by_name
        odd = {m.name for m in found.left_out}
        lacking = [
            LeftOut(
                kind="instrument",
                name=name,
                instrument=name,
                text="the account does not have it",
            )
            for name in self._universe.instruments
            if name not in self._by_name and name not in odd
        ]
        self._left_out = (*found.left_out, *lacking)
        self._members.report("instruments", self._left_out)
        self._read_ms = now_ms(self._clock)

    async def refresh_if_due(self) -> None:
        """Refresh once an hour, once a minute while a traded one is lacking.

        On failure the cached instruments stay valid.

        Raises:
            BrokerUnavailableError: the refresh failed and the cache is empty.
        """
        lacking = any(name not in self._by_name for name in self._universe.instruments)
        due_s = _REFRESH_WHILE_LACKING_S if lacking else REFRESH_S
        if age_of(self._read_ms, now_ms(self._clock), due_s).verdict is not Freshness.STALE:
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

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Instruments that can't be read, and traded ones that the account lacks."""
        return self._left_out

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

    async def get_for_reduction(self, name: str) -> Instrument:
        """One instrument, also one that the broker has stopped trading since the start.

        Raises: as ``get`` does.
        """
        await self._loaded()
        return self._seen[name] if name in self._seen else await self.get(name)

    async def rounded(self, name: str, price: Decimal) -> Decimal:
        """A price in the instrument's precision; as it is where that is not known."""
        await self._loaded()
        return self._seen[name].round_price(price) if name in self._seen else price

    async def check_closable(self, name: str) -> None:
        """Refuse an instrument that the broker neither trades nor has traded since the start.

        Raises: as ``get`` does.
        """
        await self._loaded()
        if name not in self._seen and not self._expected(name):
            await self.get(name)

    async def split(self, names: Iterable[str]) -> tuple[list[str], list[LeftOut]]:
        """The names that the broker trades, and known ones that it does not, as left out.

        Raises:
            UnknownInstrumentError: a name is neither traded nor known.
            BrokerUnavailableError: the cache is empty and the broker does not respond.
        """
        loaded = await self._loaded()
        traded: list[str] = []
        lacking: list[LeftOut] = []
        for name in names:
            if name in loaded:
                traded.append(name)
            elif name in self._seen or self._expected(name):
                lacking.append(self._left_out_entry(name))
            else:
                raise UnknownInstrumentError(name, list(loaded))
        return traded, lacking

    async def traded_universe(self) -> Sequence[str]:
        """The stack's instruments that the account has.

        Raises:
            BrokerUnavailableError: the cache is empty and the broker does not respond.
        """
        loaded = await self._loaded()
        return [name for name in self._universe.instruments if name in loaded]

    def _expected(self, name: str) -> bool:
        return name in self._universe.instruments or any(m.name == name for m in self._left_out)

    def _left_out_entry(self, name: str) -> LeftOut:
        known = next((m for m in self._left_out if m.name == name), None)
        return known or LeftOut(
            kind="instrument", name=name, instrument=name, text="the broker no longer trades it"
        )

    async def _loaded(self) -> Mapping[str, Instrument]:
        if not self._by_name:
            await self.refresh()
        return self._by_name
