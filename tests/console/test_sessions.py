"""The console's table of sessions, which shades charts, is the stack's own."""

import re
from pathlib import Path

from sep_fx import sessions

SOURCE = Path(__file__).parents[2] / "console" / "src" / "model" / "sessions.ts"
ROW = re.compile(r'name: "([^"]+)", zone: "([^"]+)", opens: (\d+), closes: (\d+)')


def test_the_console_shades_by_the_sessions_of_the_stack() -> None:
    shown = {
        (n, zone, int(opens), int(ends)) for n, zone, opens, ends in ROW.findall(SOURCE.read_text())
    }
    known = (sessions.SYDNEY, sessions.TOKYO, sessions.LONDON, sessions.NEW_YORK_SESSION)
    assert shown == {(s.name, s.zone.key, s.opens.hour, s.closes.hour) for s in known}
    assert all(s.opens.minute == s.closes.minute == 0 for s in known)
