"""JSON of candles.

Responses often hold 5,000 candles, so the text is formatted directly from arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sep_fx.granularity import Granularity

from sep_paper_broker.codec import TimeFormat
from sep_paper_broker.market.alignment import CandleGrid
from sep_paper_broker.market.candles import Candles, is_complete

COMPONENTS = {"M": "mid", "B": "bid", "A": "ask"}
"""Components of a candle by the letter of the ``price`` parameter."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CandleWriter:
    """Formats candles as requested by a client.

    Attributes:
        components: letters of ``COMPONENTS``.
        precision: number of decimals of the instrument's price.
        times: the format of times.
    """

    components: str
    precision: int
    times: TimeFormat

    def write(self, candles: Candles, grid: CandleGrid, now: int) -> list[str]:
        """The JSON text of each candle at ``now`` (nanoseconds)."""
        # Only the last two can be incomplete: the current one, and one that ended less than
        # the settling time ago.
        complete = ["true"] * len(candles)
        for i, start in enumerate(candles.start.tolist()[-2:], max(0, len(candles) - 2)):
            complete[i] = "true" if is_complete(grid.end_of(start), now) else "false"
        columns = [complete, candles.volume.tolist(), self._starts(candles.start)]
        for letter in self._letters:
            for points in _points(candles, letter):
                columns += (part.tolist() for part in np.divmod(points, 10**self.precision))
        template = self._template()
        return [template % row for row in zip(*columns, strict=True)]

    @property
    def _letters(self) -> list[str]:
        return [letter for letter in COMPONENTS if letter in self.components]

    def _template(self) -> str:
        price = f'"%d.%0{self.precision}d"'
        sides = (
            f'"{COMPONENTS[letter]}":{{"o":{price},"h":{price},"l":{price},"c":{price}}}'
            for letter in self._letters
        )
        return '{"complete":%s,"volume":%d,"time":"%s",' + ",".join(sides) + "}"

    def _starts(self, starts: Ints) -> list[str]:
        """Whole seconds with nine fractional digits, as ``TimeFormat.write`` has them."""
        if self.times is TimeFormat.UNIX:
            return [f"{start}.000000000" for start in starts.tolist()]
        days = np.datetime_as_string(starts.astype("datetime64[s]")).tolist()
        return [f"{text}.000000000Z" for text in days]


def candle_response_body(instrument: str, granularity: Granularity, texts: Sequence[str]) -> bytes:
    """The response body with the candles."""
    head = f'{{"instrument":"{instrument}","granularity":"{granularity.value}","candles":['
    return (head + ",".join(texts) + "]}").encode()


def _points(candles: Candles, letter: str) -> Ints:
    """Open, high, low and close in points, shape (4, n)."""
    if letter == "M":
        # Half points; a half rounds up to the display precision.
        return (candles.mid + 1) // 2
    return candles.bid if letter == "B" else candles.ask
