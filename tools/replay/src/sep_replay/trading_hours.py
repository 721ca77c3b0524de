"""The session calendar of a tape. Time only moves forward, so each edge is looked up once."""

import numpy as np
import numpy.typing as npt
from sep_fx.sessions import SessionCalendar, SessionState


class TradingHours(SessionCalendar):
    """The session calendar of one instrument, queried bar by bar.

    The state is cached between two edges of the market, where only the time left changes.
    """

    def __init__(self, calendar: SessionCalendar, instrument: str) -> None:
        super().__init__(calendar.calendar)
        self._source = calendar
        self._instrument = instrument
        self._state = SessionState(False, None, None, ())
        self._since, self._until = 0, 0

    def at(self, now: int) -> SessionState:
        """The state at a time in seconds, without the names of the open exchanges."""
        if not self._since <= now < self._until:
            state = self._source.state(self._instrument, now)
            self._state = SessionState(state.open, state.closes_at, state.opens_at, ())
            edge = state.closes_at if state.open else state.opens_at
            self._since, self._until = now, now + 1 if edge is None else edge
        return self._state

    def seconds_to_close(
        self, instrument: str, times: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Seconds to the session's close at each time; a single bar is read from the cache."""
        if len(times) != 1 or instrument != self._instrument:
            return self._source.seconds_to_close(instrument, times)
        now = int(times[0])
        return np.array([self.at(now).seconds_to_close(now) or 0], np.int64)
