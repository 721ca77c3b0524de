"""The instruments of this broker."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from sep_fx.instrument import Instrument


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument and its typical spread.

    ``spread_bps`` is the bid-ask spread in basis points of the price.
    """

    instrument: Instrument
    spread_bps: float

    @property
    def pip_location(self) -> int:
        """Power of ten of a pip: one digit coarser than the display precision."""
        return 1 - self.instrument.display_precision


_METALS = {"XAG": 5, "XAU": 3}
"""Display precision of metals."""


def _listing(name: str, margin_rate: str, spread_bps: float) -> Listing:
    precision = _METALS.get(name[:3], 3 if name.endswith("JPY") else 5)
    instrument = Instrument(
        name=name,
        display_precision=precision,
        trade_units_precision=0,
        minimum_trade_size=Decimal(1),
        margin_rate=Decimal(margin_rate),
    )
    return Listing(instrument, spread_bps)


LISTINGS: Mapping[str, Listing] = MappingProxyType(
    {
        listing.instrument.name: listing
        for listing in (
            _listing("AUD_JPY", "0.05", 1.3),
            _listing("AUD_NZD", "0.03", 1.4),
            _listing("AUD_USD", "0.03", 1.0),
            _listing("CHF_JPY", "0.04", 1.3),
            _listing("EUR_AUD", "0.03", 1.2),
            _listing("EUR_CHF", "0.04", 1.1),
            _listing("EUR_GBP", "0.05", 1.0),
            _listing("EUR_JPY", "0.04", 1.1),
            _listing("EUR_USD", "0.02", 0.8),
            _listing("GBP_CHF", "0.05", 1.4),
            _listing("GBP_JPY", "0.05", 1.3),
            _listing("GBP_USD", "0.05", 0.9),
            _listing("NZD_USD", "0.03", 1.2),
            _listing("USD_CAD", "0.02", 1.0),
            _listing("USD_CHF", "0.04", 1.1),
            _listing("USD_JPY", "0.04", 0.9),
        )
    }
)

EVERY_LISTING: Mapping[str, Listing] = MappingProxyType(
    {
        **LISTINGS,
        **{
            listing.instrument.name: listing
            for listing in (
                _listing("AUD_CAD", "0.03", 1.4),
                _listing("AUD_CHF", "0.04", 1.5),
                _listing("CAD_CHF", "0.04", 1.6),
                _listing("CAD_JPY", "0.04", 1.3),
                _listing("EUR_CAD", "0.02", 1.3),
                _listing("EUR_NZD", "0.03", 1.6),
                _listing("GBP_AUD", "0.05", 1.5),
                _listing("GBP_CAD", "0.05", 1.5),
                _listing("GBP_NZD", "0.05", 1.9),
                _listing("NZD_CAD", "0.03", 1.6),
                _listing("NZD_CHF", "0.04", 1.7),
                _listing("NZD_JPY", "0.04", 1.4),
                _listing("XAG_USD", "0.10", 7.0),
                _listing("XAU_USD", "0.05", 1.5),
            )
        },
    }
)
"""The instruments served, the other crosses of the eight currencies, and metals.

A replay plays all of them: it needs the broker's rules and no generated market.
"""

INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {name: listing.instrument for name, listing in LISTINGS.items()}
)
