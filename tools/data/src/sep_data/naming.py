"""Instrument, granularity and side in the names of files from different sources."""

import re
from dataclasses import dataclass
from pathlib import Path

from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name

from sep_data.rows import Side

_PAIR = re.compile(r"(?<![A-Za-z])([A-Za-z]{3})[_/-]?([A-Za-z]{3})(?![A-Za-z])")
_WRITTEN = re.compile(r"([A-Z0-9]{2,12}_[A-Z0-9]{2,12})_(?:[SMH][0-9]+|D)(?![A-Z0-9])")
_BARS = tuple((re.compile(rf"(?<![A-Za-z0-9]){g.value}(?![A-Za-z0-9])", re.I), g)
              for g in Granularity if g is not Granularity.D)  # fmt: skip
# Dukascopy's names of bar lengths.
_LONG_NAMES = {
    "1_M": Granularity.M1, "5_M": Granularity.M5, "10_M": Granularity.M10,
    "15_M": Granularity.M15, "30_M": Granularity.M30, "1_HOUR": Granularity.H1,
    "4_HOUR": Granularity.H4, "1_D": Granularity.D, "10_S": Granularity.S10,
}  # fmt: skip
_NOT_CURRENCIES = {"DAT", "BID", "ASK", "CSV", "ASC", "III"}


@dataclass(frozen=True, slots=True)
class NameParts:
    """Instrument, granularity and side in a file's name; None where it does not state one."""

    instrument: str | None
    granularity: Granularity | None
    side: Side | None


def parts_of(path: Path) -> NameParts:
    """Instrument, granularity and side in a file's name."""
    name = path.name
    for suffix in (".gz", ".zip", ".csv", ".txt", ".json", ".tsv"):
        name = name.removesuffix(suffix).removesuffix(suffix.upper())
    return NameParts(_instrument(name), _granularity(name), _side(name))


def pip_of(instrument: str) -> float:
    """One pip in price units, as OANDA counts it."""
    base, _, quote = instrument.partition("_")
    if base in {"XAU", "XPT", "XPD"} or quote in {"JPY", "HUF", "THB"}:
        return 0.01
    return 0.0001


def _instrument(name: str) -> str | None:
    if found := _WRITTEN.match(name):
        return found[1]
    for found in _PAIR.finditer(name):
        base, quote = found[1].upper(), found[2].upper()
        if not {base, quote} & _NOT_CURRENCIES and is_instrument_name(f"{base}_{quote}"):
            return f"{base}_{quote}"
    return None


def _granularity(name: str) -> Granularity | None:
    spaced = name.replace("-", "_")
    for text, granularity in _LONG_NAMES.items():
        if f"_{text}_" in f"{spaced}_".upper():
            return granularity
    for pattern, granularity in _BARS:
        if pattern.search(spaced.replace("_", " ")):
            return granularity
    return Granularity.D if re.search(r"_(D|D1)(_|$)", spaced) else None


def _side(name: str) -> Side | None:
    words = set(re.split(r"[^A-Z]+", name.upper()))
    if ("BID" in words) == ("ASK" in words):
        return None
    return Side.BID if "BID" in words else Side.ASK
