"""What holds for every test of the repository: markers by path, order, and Ctrl-C."""

import signal
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# Tests that start a container engine, or whose bounds of time need an idle machine.
SERIAL = ("tests/containers/", "tests/e2e/test_attack_minutes.py")
# Measured: together these take most of the time. They start first and in this order, so that none
# is left to run alone at the end, and `make test-fast` leaves them out. Rename a file here too.
SLOW = (
    "tests/console/test_actions.py",
    "tests/console/test_life.py",
    "tests/console/test_sessions.py",
    "tests/console/test_views.py",
    "tests/e2e/test_research_path.py",
    "tests/surface/test_method_errors.py",
    "tests/e2e/test_state.py",
    "tests/console/test_states.py",
    "tests/e2e/test_damaged_keys.py",
    "services/gateway/tests/test_stream_fault_storm.py",
    "tests/e2e/",
    "tests/console/",
    "tests/operations/test_week.py",
    "tests/operations/",
    "services/evaluator/tests/test_evaluator_crashes.py",
    "tests/surface/",
    "services/guard/tests/test_account_situations.py",
    "services/evaluator/tests/test_evaluator_loops.py",
    "services/allocator/tests/test_allocator_service.py",
    "services/guard/tests/test_scripted_day.py",
    "services/guard/tests/test_fault_day.py",
    "tools/replay/tests/test_divergence.py",
    "tools/replay/tests/test_parity.py",
    "tools/replay/tests/test_simulated_days.py",
    "tests/integration/test_nightly_replay.py",
    "services/guard/tests/test_store_outage.py",
    "services/guard/tests/test_cycle_properties.py",
    "services/journal/tests/test_copies.py",
    "services/journal/tests/test_year.py",
    "tools/ops/tests/test_state.py",
    "tools/ops/tests/test_state_repair.py",
    "services/evaluator/tests/test_evaluator_service.py",
    "tools/*/tests/test_up.py",
    "tools/research/tests/test_runs.py",
    "tools/research/tests/test_verdicts.py",
    "services/gateway/tests/test_gateway_candles.py",
    "services/gateway/tests/test_gateway_orders.py",
    "services/evaluator/tests/test_cli.py",
    "services/gateway/tests/test_thousand_lost_responses.py",
    "services/gateway/tests/test_bad_values.py",
    "services/gateway/tests/test_streams.py",
    "services/guard/tests/test_guard_service.py",
    "services/gateway/tests/test_gateway_lifecycle.py",
    "libs/kit/tests/test_candle_store.py",
    "services/guard/tests/test_account_truth.py",
    "services/guard/tests/test_stopped_processes.py",
    "services/gateway/tests/test_trade_exits.py",
    "services/gateway/tests/test_one_bad_member.py",
    "services/gateway/tests/test_own_writes.py",
    "services/gateway/tests/test_first_contact.py",
    "services/journal/tests/test_journal_service.py",
    "libs/kit/tests/test_service_life.py",
    "services/evaluator/tests/test_backtest.py",
    "services/guard/tests/test_account_rules.py",
    "services/guard/tests/test_risk_sequences.py",
    "tests/contract/test_strategy_page.py",
    "services/gateway/tests/test_odd_fields.py",
    "services/journal/tests/test_notifications.py",
    "services/journal/tests/test_events.py",
    "services/journal/tests/test_tables.py",
    "services/guard/tests/test_risk_flatten.py",
    "services/guard/tests/test_risk_restarts.py",
    "services/guard/tests/test_lease_yield.py",
    "services/gateway/tests/test_account_kinds.py",
    "services/guard/tests/test_broker_ledger.py",
    "services/gateway/tests/test_gateway_reads.py",
    "services/journal/tests/test_outages.py",
    "services/journal/tests/test_export.py",
    "services/guard/tests/test_recording.py",
    "services/evaluator/tests/test_parameter_changes.py",
    "tests/contract/test_public_names.py",
    "tests/contract/test_layers.py",
)
# The running stack that files of a suite share, by the name of its fixture. These files run in one
# process, each other file in any.
SHARED_STACKS = {"tests/console/": "desk", "tests/e2e/": "api", "tests/operations/": "shell"}
FAST = ("libs/", "services/", "clients/", "tests/contract/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fast`` is how ``make test-fast`` chooses."""
    parser.addoption("--fast", action="store_true", help="domain and service tests only")


def pytest_configure() -> None:
    """Let the processes that tests start be stopped by SIGINT and SIGHUP.

    In a background job SIGINT is ignored, under nohup SIGHUP, and child processes inherit that. A
    handler is not inherited: with one that does nothing, pytest itself still ignores the signal.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Look only where tests of this run are: importing all others takes each process seconds."""
    if collection_path.is_dir():
        return None
    path = collection_path.relative_to(ROOT).as_posix()
    if config.getoption("--fast") and (_rank(path, FAST) is None or _rank(path, SLOW) is not None):
        return True
    serial = _rank(path, SERIAL) is not None
    return (
        True if {"serial": not serial, "not serial": serial}.get(config.option.markexpr) else None
    )


# Before the hooks that deselect by -m and that make groups of marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and group by path, and start with what takes longest."""

    def first(item: pytest.Item) -> int:
        rank = _rank(_path(item), SLOW)
        return len(SLOW) if rank is None else rank

    groups = groups_of((_path(item), getattr(item, "fixturenames", ())) for item in items)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[_path(item)]))
        if _rank(_path(item), SERIAL) is not None:
            item.add_marker(pytest.mark.serial)
        if _rank(_path(item), SLOW) is not None:
            item.add_marker(pytest.mark.slow)
    items.sort(key=first)


def groups_of(uses: Iterable[tuple[str, Collection[str]]]) -> dict[str, str]:
    """The group of each file: its suite if a test of it uses the suite's stack, else itself.

    Args:
        uses: the path of a test and the fixtures that it uses, for each test.
    """
    groups: dict[str, str] = {}
    for path, fixtures in uses:
        groups.setdefault(path, path)
        for suite, stack in SHARED_STACKS.items():
            if path.startswith(suite) and stack in fixtures:
                groups[path] = suite
    return groups


def _path(item: pytest.Item) -> str:
    return _relative(item.path)


# Cached: thousands of tests are in some three hundred files.
@cache
def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _rank(path: str, patterns: tuple[str, ...]) -> int | None:
    """The place of the first pattern that a path matches: a folder, a file, or a glob."""
    for rank, pattern in enumerate(patterns):
        folder = pattern.endswith("/") and path.startswith(pattern)
        if folder or Path(path).match(pattern):
            return rank
    return None
