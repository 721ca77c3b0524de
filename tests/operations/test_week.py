"""A simulated week, weekend included, raises no alert; the same week with a fault does."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.operations.week import PAIRS, STEP_S, Recording, record_weeks
from tests.programs import needs

pytestmark = [
    pytest.mark.timeout(600),
    needs("promtool", "THE SIMULATED WEEK IS NOT TESTED"),
]

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "sep-rolling.rules.yaml"
SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")
# A Wednesday. Nine days include a weekend, and seven days of NAV history after it.
START = int(datetime(2024, 5, 8, tzinfo=UTC).timestamp())
DAYS = 9
FIRING = 'ALERTS{alertstate="firing",alertname!="SepWatchdog"}'


@pytest.fixture(scope="module")
def week() -> Recording:
    recording = record_weeks(START, warm_up_days=14, days=DAYS)
    for service in SERVICES:
        name = f'sep_serving{{service="{service}"}}'
        recording.samples[name] = dict.fromkeys(range(recording.steps), 1.0)
        # The clock of promtool begins at 0.
        loop = f'sep_loop_last_success_timestamp_seconds{{loop="tick",service="{service}"}}'
        recording.samples[loop] = {n: float(n * STEP_S) for n in range(recording.steps)}
    return recording


def fired(recording: Recording, folder: Path) -> str:
    """promtool's failure of the assertion that no alert fired; empty if none did."""
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{STEP_S}s",
        "tests": [
            {
                "interval": f"{STEP_S}s",
                "input_series": list(recording.series()),
                "promql_expr_test": [
                    {
                        "expr": f"count_over_time({FIRING}[{DAYS + 1}d])",
                        "eval_time": f"{(recording.steps - 1) * STEP_S}s",
                        "exp_samples": [],
                    }
                ],
            }
        ],
    }
    path = folder / "week.test.yaml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        ["promtool", "test", "rules", path],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_recorded_week_exercises_the_rules(week: Recording) -> None:
    """Markets open and close, gates follow, NAV moves; otherwise no alert would prove nothing."""
    for pair in PAIRS:
        states = set(week.samples[f'sep_market_open{{instrument="{pair}"}}'].values())
        assert states == {0.0, 1.0}, pair
    assert len(set(week.samples["sep_nav"].values())) > 50
    closed = f'sep_rolling_gate{{buf="0.10",eligible="0",instrument="{PAIRS[0]}"}}'
    assert 0 < len(week.samples[closed]) < week.steps


def test_a_simulated_week_raises_no_alert(week: Recording, tmp_path: Path) -> None:
    assert fired(week, tmp_path) == ""


def test_the_same_week_with_a_broken_evaluator_raises_alerts(
    week: Recording, tmp_path: Path
) -> None:
    age = dict(week.samples["sep_gates_blob_age_seconds"])
    noon = (12 * 3600) // STEP_S
    broken = {n: (n - noon) * float(STEP_S) if n > noon else v for n, v in age.items()}
    faulty = Recording(week.steps, {**week.samples, "sep_gates_blob_age_seconds": broken})
    assert "SepGatesBlobStale" in fired(faulty, tmp_path)
