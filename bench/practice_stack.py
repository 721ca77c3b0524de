"""A whole stack with practice settings, 8 pairs of M1, against the paper broker.

``deploy/practice.env`` as it is, but for the broker.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sep_kit.settings.shared.market import MarketKnobs

from bench.started_stack import started_stack

_LOAD_WITHIN_S = 900
_LOOK_EVERY_S = 10
_STANDS_STILL_MS = 120_000
"""Between two looks a history that is complete grows by a bar or two, one that loads by a page."""
_PAIRS: tuple[str, ...] = MarketKnobs.model_fields["hotband_pairs"].default


@dataclass(frozen=True, slots=True)
class PracticeStack:
    """A running stack: the process of ``sep-stack up``, its URL, and the file of its output."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def tail(self) -> str:
        """The end of its output."""
        return self.log.read_text(errors="replace")[-3000:]


def compile_ahead() -> None:
    """Compile the evaluator's code, as an installation does: a compiler takes memory."""
    subprocess.run([sys.executable, "-m", "sep_evaluator.cli.compile_ahead"], check=True)


@contextmanager
def practice_stack(
    folder: Path, days: float, inside: Sequence[str] = ()
) -> Iterator[PracticeStack]:
    """Run a stack with ``days`` of history, its state below ``folder``.

    Args:
        inside: a command that executes the one that it is given.
    """
    changed = {
        "OANDA_ENVIRONMENT": "paper",
        "OANDA_API_TOKEN": "demo-token-not-a-secret",
        "OANDA_ACCOUNT_ID": "101-001-0000001-001",
        "CANDLE_BACKFILL_DAYS": str(days),
        "EVAL_LONG_RUN_DAYS": str(days),
        "EVAL_SPAN_DAYS": str(min(days, 30)),
    }
    with started_stack("practice.env", folder, changed, inside) as (process, url):
        yield PracticeStack(process, url, folder / "stack.log")


def wait_for_history(stack: PracticeStack, look: Callable[[], object] = lambda: None) -> None:
    """Return once every pair's history is stored and every pair has a score.

    Args:
        look: called about every ten seconds.

    Raises:
        TimeoutError: that took a quarter of an hour, or the stack has ended.
    """
    deadline = time.monotonic() + _LOAD_WITHIN_S
    newest: dict[str, float] = {}
    while True:
        before, newest = newest, {pair: _newest_ms(stack.url, pair) for pair in _PAIRS}
        stored = sum(
            1 for pair, ms in newest.items() if 0 < ms <= before.get(pair, 0) + _STANDS_STILL_MS
        )
        scored = _get(stack.url, "/api/ranking/active").count('"score"')
        if stored == scored == len(_PAIRS):
            return
        if time.monotonic() > deadline or stack.process.poll() is not None:
            raise TimeoutError(f"{stored} histories stored, {scored} pairs scored:\n{stack.tail}")
        look()
        time.sleep(_LOOK_EVERY_S)


def _newest_ms(url: str, pair: str) -> float:
    """Start of a pair's newest stored candle; 0 where there is none."""
    _, found, rest = _get(url, f"/api/candles?instrument={pair}&limit=1").partition('"ts_ms":')
    return float(rest.split(",")[0]) if found else 0.0


def _get(url: str, path: str) -> str:
    """The answer's text; nothing while there is none."""
    try:
        answer = httpx.get(f"{url}{path}", timeout=10, trust_env=False)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.is_success else ""
