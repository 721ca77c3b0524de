"""Readers of candle files, one module a format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sep_data.formats import csv_rows, dukascopy, histdata, mt5, oanda_json
from sep_data.formats.table import Table
from sep_data.rows import BadRow, Row, Side


@dataclass(frozen=True, slots=True)
class Format:
    """A format's reader, and what its files leave unsaid.

    Attributes:
        read: the table of a text; raises FileRefusedError for a file of another kind.
        time_zone: of local times, where the source documents one; None if it must be given.
        side: of single prices, likewise.
    """

    read: Callable[[Path, str], Table]
    time_zone: str | None
    side: Side | None


FORMATS = {
    "csv": Format(csv_rows.read, None, None),
    # HistData states its times in EST without daylight saving, and bid prices.
    "histdata": Format(histdata.read, "-05:00", Side.BID),
    "dukascopy": Format(dukascopy.read, None, None),
    "mt5": Format(mt5.read, None, Side.BID),
    "oanda-json": Format(oanda_json.read, None, Side.MID),
}

__all__ = ["FORMATS", "BadRow", "Format", "Iterator", "Row", "Table"]
