"""The broker's clock, from the ``Date`` header of its responses."""

from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sep_kit.clock import Clock

from sep_gateway.domain.clock_skew import ClockSkew


@dataclass(frozen=True, slots=True)
class DateHeader:
    """Notes the ``Date`` header of a response; one that is no date is ignored."""

    skew: ClockSkew
    clock: Clock

    def __call__(self, header: str) -> None:
        """Note the time of a header."""
        with suppress(ValueError):
            self.skew.date(parsedate_to_datetime(header).timestamp(), self.clock.now_ns())
