"""Latest prices: from the price stream while it is fresh, otherwise requested."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from sep_fx.freshness import Freshness, age_of
from sep_fx.instants import NS_PER_MS
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError
from sep_kit.logging import get_logger

from sep_gateway.application.instrument_cache import InstrumentCache
from sep_gateway.application.left_out_members import LeftOutMembers
from sep_gateway.domain.left_out import LeftOut
from sep_gateway.domain.pricing import HomeConversion, Price, Pricing
from sep_gateway.domain.universe import Universe
from sep_gateway.metrics import GatewayMetrics
from sep_gateway.ports import Broker, BrokerRefusedError, Heartbeat, Streams

_log = get_logger("PriceCache")

# The broker sends a heartbeat every five seconds; a stream silent for longer may be broken.
_STREAM_FRESH_S = 6.0
# Conversions are not streamed. They change as slowly as prices and only affect order sizes.
_CONVERSIONS_FRESH_S = 10.0


class PriceCache:
    """Latest price of each streamed instrument; other prices are requested.

    Args:
        universe: its instruments are streamed.
        silence_s: after this long without a line the stream counts as broken.
        on_heartbeat: called with the broker's time of each heartbeat.
    """

    def __init__(
        self,
        universe: Universe,
        broker: Broker,
        streams: Streams,
        instruments: InstrumentCache,
        *,
        silence_s: float,
        clock: Clock,
        metrics: GatewayMetrics,
        left_out: LeftOutMembers,
        on_heartbeat: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._universe = universe
        self._broker = broker
        self._left_out = left_out
        self._on_heartbeat = on_heartbeat
        self._instruments = instruments
        self._streams = streams
        self._fresh_s = min(silence_s, _STREAM_FRESH_S)
        self._clock = clock
        self._quarantined = metrics.prices_quarantined
        self._prices: dict[str, Price] = {}
        self._faults: dict[str, str] = {}
        self._received_at = float("-inf")
        self._newest_ns = 0
        self._conversions: dict[str, tuple[float, HomeConversion]] = {}

    async def follow(self, on_line: Callable[[], None]) -> None:
        """Read the price stream until it breaks; a new stream begins with all current prices.

        Args:
            on_line: called for every line.

        Raises:
            BrokerUnavailableError: it broke.
        """
        loop = asyncio.get_running_loop()
        # The broker refuses a stream that names an unknown instrument.
        names = await self._instruments.traded_universe()
        try:
            async with aclosing(self._streams.prices(names)) as stream:
                async for item in stream:
                    on_line()
                    if isinstance(item, LeftOut):
                        self._left_out.add("price stream", item)
                        continue
                    self._received_at = loop.time()
                    self._newest_ns = max(self._newest_ns, item.time_ns)
                    if isinstance(item, Heartbeat):
                        self._on_heartbeat(item.time_ns)
                    else:
                        self._put(item)
        except BrokerRefusedError:
            await self._instruments.refresh()
            raise
        finally:
            # Prices of a broken stream may be outdated.
            self._prices.clear()
            self._left_out.report("price stream", ())

    async def pricing(self, names: Sequence[str]) -> Pricing:
        """Current prices and the conversions of their currencies.

        An instrument that the account lacks is left out where it belongs to the universe, or was
        traded before.

        Args:
            names: instruments; none means the universe.

        Raises:
            UnknownInstrumentError: the broker does not trade another one of them.
            BrokerUnavailableError: the stream is not fresh, and the broker does not respond in
                time.
        """
        names = tuple(dict.fromkeys(names)) or self._universe.instruments
        traded, lacking = await self._instruments.split(names)
        if not traded:
            return Pricing((), (), tuple(lacking))
        pricing = self._from_stream(traded)
        if pricing is None:
            try:
                pricing = await self._request(traded)
            except BrokerRefusedError:
                # It refuses all of them for one that it has stopped trading.
                await self._instruments.refresh()
                still, lacking = await self._instruments.split(names)
                if not still or still == traded:
                    raise
                pricing = await self._request(still)
        return replace(pricing, left_out=(*pricing.left_out, *lacking))

    def _put(self, price: Price) -> None:
        self._report(price)
        known = self._prices.get(price.instrument)
        # Behind an invalid price there is no valid one, whatever its time says.
        if known is None or price.fault or price.time_ns >= known.time_ns:
            self._prices[price.instrument] = price

    def _from_stream(self, names: Sequence[str]) -> Pricing | None:
        now = asyncio.get_running_loop().time()
        if now - self._received_at > self._fresh_s or self._broker_time_is_old():
            return None
        prices = [self._prices.get(name) for name in names]
        currencies = sorted({c for name in names for c in name.split("_")})
        cached = [self._conversions.get(currency) for currency in currencies]
        conversions = tuple(c[1] for c in cached if c and now - c[0] <= _CONVERSIONS_FRESH_S)
        if None in prices or len(conversions) < len(currencies):
            return None
        found = sorted((p for p in prices if p is not None), key=lambda p: p.instrument)
        return Pricing(tuple(found), conversions)

    async def _request(self, names: Sequence[str]) -> Pricing:
        sent_at = asyncio.get_running_loop().time()
        pricing = await self._broker.pricing(names)
        now = asyncio.get_running_loop().time()
        if now - sent_at > self._fresh_s:
            raise BrokerUnavailableError(f"the prices arrived after {now - sent_at:.1f} s")
        self._left_out.report("prices", pricing.left_out)
        for price in pricing.prices:
            self._report(price)
        for conversion in pricing.conversions:
            self._conversions[conversion.currency] = (now, conversion)
        return pricing

    def _broker_time_is_old(self) -> bool:
        """Whether the newest time on the stream is: a line can be delayed on its way."""
        age = age_of(
            self._newest_ns // NS_PER_MS, now_ms(self._clock), self._fresh_s, including_limit=True
        )
        return age.verdict is Freshness.STALE

    def _report(self, price: Price) -> None:
        """Count an invalid price; log when an instrument's fault changes."""
        if price.fault:
            self._quarantined.labels(price.instrument, price.fault).inc()
        if price.fault != self._faults.get(price.instrument, ""):
            self._faults[price.instrument] = price.fault
            if price.fault:
                _log.warning("price quarantined", instrument=price.instrument, reason=price.fault)
            else:
                _log.info("price valid again", instrument=price.instrument)
