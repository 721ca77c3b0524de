"""A whole stack under ``API_READS=key``: Prometheus, documents and scripts go on working."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sep_local.scrape_key import NAME as SCRAPE_KEY
from sep_local.scrape_key import make_scrape_key

from tests.e2e.conftest import ROOT, Stack

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack where reading needs a key."""
    running = Stack(tmp_path_factory.mktemp("closed") / "run")
    running.start(API_READS="key")
    yield running
    running.stop()


def test_the_key_of_prometheus_reads_the_metrics_and_changes_nothing(
    closed: Stack, tmp_path: Path
) -> None:
    make_scrape_key(closed.run_dir / "keys", tmp_path)
    key = {"Authorization": f"Bearer {(tmp_path / SCRAPE_KEY).read_text().strip()}"}
    with httpx.Client(base_url=closed.url, timeout=30) as client:
        assert client.get("/metrics").status_code == 401
        body = {"kill_switch": False, "reason": "a reading key must not"}

        def refused() -> int:
            return client.post("/api/kill-switch", headers=key, json=body).status_code

        # Each service by itself reads new keys within a second.
        deadline = time.monotonic() + 30
        while (scrape := client.get("/metrics", headers=key)).status_code == 401 or (
            refused() == 401
        ):
            assert time.monotonic() < deadline, scrape.text
            time.sleep(0.2)
        assert "sep_kill_switch" in scrape.text
        assert refused() == 403


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/health"])
def test_the_documents_and_the_health_stay_open(closed: Stack, path: str) -> None:
    assert closed.get(path).status_code in {200, 503}


@pytest.mark.parametrize(("named", "code"), [(True, 0), (False, 1)])
def test_scripts_read_with_the_key_file_that_the_environment_names(
    closed: Stack, tmp_path: Path, named: bool, code: int
) -> None:
    env = {**os.environ, "SEP_URL": closed.url}
    env.pop("SEP_KEY_FILE", None)
    if named:
        env["SEP_KEY_FILE"] = str(closed.run_dir / "keys" / "write")
    script = tmp_path / "scripts" / "ops" / "why_no_trade.py"  # where no other key file is found
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "ops" / script.name, script)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr


def test_the_commands_that_the_start_prints_carry_the_key(closed: Stack) -> None:
    printed = closed.log.read_text().partition("SEP is ready")[2].partition("all routes")[0]
    calls = re.findall(r"\bcurl .*", printed)
    assert len(calls) >= 6
    assert all('-H "$KEY"' in call for call in calls)
