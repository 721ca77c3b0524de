"""Local times of files as instants.

A zone is an IANA name (``Europe/London``), ``UTC``, a fixed offset (``+02:00``), or
``NewYork+7``: the clock of most MetaTrader servers, on which the trading day of New York begins at
midnight. A clock that falls back shows one hour twice: the second one is recognised by the order of
the rows.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sep_data.errors import DataError

_OFFSET = re.compile(r"([+-])(\d\d):?([0-5]\d)")
_NEW_YORK = re.compile(r"NewYork([+-]\d{1,2})", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the epoch of a zone's own clock


class NoSuchTimeError(ValueError):
    """The clock skipped this time when it was put forward."""


@dataclass(slots=True)
class LocalClock:
    """A zone's clock, read row by row.

    Attributes:
        name: the zone as given.
        ambiguous: times that the clock showed twice, resolved by order.
    """

    name: str
    zone: tzinfo
    ahead_s: int = 0
    ambiguous: int = 0
    _offsets: dict[int, tuple[int, int]] = field(default_factory=dict)

    def instant(self, local: datetime, after: int | None) -> int:
        """Seconds since the epoch of a local time.

        Args:
            after: the instant of the row before; of an hour shown twice the later one is meant
                where the earlier one does not come after it.

        Raises:
            NoSuchTimeError: the clock never showed this time.
        """
        wall = (local - _EPOCH) // timedelta(seconds=1) - self.ahead_s
        first, second = self._offsets_at(wall)
        if first == second:
            return wall - first
        if second > first:
            raise NoSuchTimeError(f"the clocks of {self.name} skipped {local}")
        self.ambiguous += 1
        early, late = wall - first, wall - second
        return late if after is not None and early <= after else early

    def _offsets_at(self, wall: int) -> tuple[int, int]:
        """The offset at the first and at the second showing of a time; cached by quarter hour."""
        slot = wall // 900
        if slot not in self._offsets:
            local = _EPOCH + timedelta(seconds=slot * 900)
            both = [
                int((local.replace(tzinfo=self.zone, fold=fold).utcoffset() or timedelta())
                    .total_seconds())
                for fold in (0, 1)
            ]  # fmt: skip
            self._offsets[slot] = both[0], both[1]
        return self._offsets[slot]


def clock_of(name: str) -> LocalClock:
    """The clock of a zone.

    Raises:
        DataError: there is no such zone; names what is allowed.
    """
    if found := _NEW_YORK.fullmatch(name):
        hours = int(found[1])
        return LocalClock(name, ZoneInfo("America/New_York"), ahead_s=hours * 3600)
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if offset < timedelta(hours=24):
            return LocalClock(name, timezone(offset if found[1] == "+" else -offset))
    elif name.upper() in {"UTC", "GMT", "Z"}:
        return LocalClock(name, UTC)
    else:
        try:
            return LocalClock(name, ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise DataError(
        f"--time-zone is {name!r}; allowed are UTC, an IANA name like Europe/London, an offset "
        "like +02:00, and NewYork+7"
    )
