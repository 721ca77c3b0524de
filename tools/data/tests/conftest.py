from collections.abc import Callable

import pytest
from sep_data import cli
from sep_testing.clock import FakeClock

NOW = "2026-06-01T00:00:00Z"

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sep_data(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command at a fixed time: exit code, stdout, stderr."""

    def run(*argv: object) -> tuple[int, str, str]:
        code = cli.run([str(a) for a in argv], FakeClock(NOW))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
