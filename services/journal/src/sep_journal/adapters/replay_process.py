"""Replays a day by ``sep-replay parity``, in a process of its own: it takes a minute and 500 MB."""

import asyncio
import json
from decimal import Decimal

from sep_kit.death_signal import dying_with_us

from sep_journal.divergence_ports import LiveDay, ReplayError
from sep_journal.domain.days import date_of
from sep_journal.domain.divergence import CAUSES, Difference, DivergenceDay

_DEADLINE_S = 3_600.0


class ReplayProcess:
    """Implements ``DayReplayer``. The program has this process's environment, and so its knobs.

    Args:
        program: ``sep-replay``, or a path of it.
    """

    def __init__(self, program: str) -> None:
        self._program = program

    async def compare(self, live: LiveDay) -> DivergenceDay:
        """The differences of a day."""
        day = date_of(live.end_ms).isoformat()
        # The kernel ends it with this process; trading comes before it.
        command = dying_with_us(
            "nice", "-n", "15", self._program, "parity", "--day", day, "--live", "-", "--json"
        )
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            out, errors = await asyncio.wait_for(
                process.communicate(_document(live).encode()), _DEADLINE_S
            )
        except TimeoutError:
            raise ReplayError(f"{self._program} takes longer than an hour") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            last = errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise ReplayError(f"{self._program} ends with {process.returncode}: {last}")
        try:
            return _day(live.end_ms, json.loads(out))
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            raise ReplayError(f"{self._program} answers something else: {error!r}") from error


def _document(live: LiveDay) -> str:
    return json.dumps(
        {
            "start_ms": live.start_ms,
            "end_ms": live.end_ms,
            "balance": format(live.balance, "f"),
            "trades": live.trades,
            "decisions": live.decisions,
        }
    )


def _day(end_ms: int, answer: dict[str, object]) -> DivergenceDay:
    items = answer["differences"]
    if not isinstance(items, list):
        raise TypeError("differences is no list")
    return DivergenceDay(
        end_ms=end_ms,
        live_net=Decimal(str(answer["live_net"])),
        replay_net=Decimal(str(answer["replay_net"])),
        live_trades=int(str(answer["live_trades"])),
        replay_trades=int(str(answer["replay_trades"])),
        differences=[
            Difference(
                cause=CAUSES[CAUSES.index(item["cause"])],
                cash=Decimal(item["cash"]),
                instrument=str(item["instrument"]),
                ts_ms=int(item["ts_ms"]),
                what=str(item["what"]),
                trade_id=str(item["live_id"]),
                replay_trade_id=str(item["replay_id"]),
            )
            for item in items
        ],
    )
