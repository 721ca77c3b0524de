"""The guard's decisions against those of another checkout, such as the one before a change.

Both run as processes of their own, with their own virtual environments, and take turns: other
load on the machine meets both. CPU time is compared, as the median of the ratios of the turns.
"""

import subprocess
from pathlib import Path
from statistics import median

from bench.runner import Figure, Options

_HERE = Path(__file__).parent
_MOST = 1.5


def compare_decisions(options: Options) -> list[Figure]:
    """The ratios of entry check and plan, this checkout's time over the baseline's."""
    if options.baseline is None:
        return []
    turns = 20 if options.quick else 100
    own, other = _Worker(_HERE.parent), _Worker(options.baseline.resolve())
    try:
        return [_ratio(what, own, other, turns) for what in ("check", "plan")]
    finally:
        own.stop()
        other.stop()


def _ratio(what: str, own: "_Worker", other: "_Worker", turns: int) -> Figure:
    times = [(own.ask(what), other.ask(what)) for _ in range(turns)]
    ours, theirs = (median(column) for column in zip(*times, strict=True))
    ratio = median(a / b for a, b in times)
    return Figure(
        f"{what}: CPU time as a multiple of the baseline's, median", ratio, "x", _MOST,
        lower_is_better=True, note=f"{ours:.4f} ms against {theirs:.4f} ms",
    )  # fmt: skip


class _Worker:
    """A checkout's worker process."""

    def __init__(self, checkout: Path) -> None:
        command = [
            str(checkout / ".venv" / "bin" / "python"), "-P",
            str(_HERE / "decision_worker.py"), str(checkout),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str) -> float:
        """Milliseconds of one decision."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()
