"""Every query of every dashboard and rule, against the metrics of a stack that runs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from sep_testing.eventually import eventually
from sep_testing.valkey import free_port

from tests.operations.conftest import Desk

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
RULES = ROOT / "deploy" / "prometheus" / "sep-rolling.rules.yaml"


def queries() -> list[tuple[str, str]]:
    """Panel and query, of all dashboards as they are shipped."""
    return [
        (f"{page.stem}: {panel['title']}", target["expr"])
        for page in sorted((GRAFANA / "dashboards").glob("*.json"))
        for panel in json.loads(page.read_text())["panels"]
        for target in panel["targets"]
    ]


class Prometheus:
    """A Prometheus with the shipped rules that reads a stack's public port every second."""

    def __init__(self, stack_url: str, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(folder / RULES.name)]
        job = config["scrape_configs"][0]
        job["static_configs"] = [{"targets": [stack_url.removeprefix("http://")]}]
        rules = yaml.safe_load(RULES.read_text())
        rules["groups"][0]["interval"] = "1s"
        (folder / RULES.name).write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, query: str) -> list[dict[str, object]]:
        """The result of an instant query; a bad query, or no answer, is an AssertionError."""
        try:
            answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=5)
        except httpx.TransportError as error:
            raise AssertionError(f"prometheus does not answer: {error!r}") from error
        assert answer.headers["content-type"] == "application/json", answer.text  # not ready yet
        body = answer.json()
        assert body["status"] == "success", f"{query}: {body}"
        return list(body["data"]["result"])

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="module")
def prometheus(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus beside the running stack, which trades."""
    if shutil.which("prometheus") is None:
        pytest.skip("DASHBOARDS NOT TESTED: prometheus is not installed")
    desk.set_kill_switch(engaged=False)
    started = Prometheus(desk.stack.url, tmp_path_factory.mktemp("prometheus"))
    try:
        yield started
    finally:
        started.stop()
        desk.set_kill_switch(engaged=True)


@pytest.mark.parametrize(("panel", "query"), queries())
async def test_a_query_finds_something_in_a_stack_that_works(
    prometheus: Prometheus, panel: str, query: str
) -> None:
    result = await eventually(lambda: prometheus.query(query), within_s=90, every_s=0.5)
    assert all(isinstance(r["metric"], dict) for r in result)


async def test_the_market_counts_as_open_and_no_alert_fires(prometheus: Prometheus) -> None:
    def known() -> bool:
        return [r["value"][1] for r in prometheus.query("sep:market_open")] == ["1"]  # type: ignore[index]

    await eventually(known, within_s=30, every_s=0.5)
    assert prometheus.query('ALERTS{alertstate="firing"}') == []


def test_dashboards_are_the_generated_ones(tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text((GRAFANA / "make.py").read_text())
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, timeout=30)
    made = {p.name: p.read_text() for p in (tmp_path / "dashboards").iterdir()}
    assert made == {p.name: p.read_text() for p in (GRAFANA / "dashboards").iterdir()}


def test_every_legend_names_labels_that_its_query_has() -> None:
    for page in (GRAFANA / "dashboards").glob("*.json"):
        model = json.loads(page.read_text())
        ids = [panel["id"] for panel in model["panels"]]
        assert len(set(ids)) == len(ids)
        for panel in model["panels"]:
            assert panel["datasource"]["uid"] == "prometheus"
            names = [t["legendFormat"] for t in panel["targets"]]
            assert len(set(names)) == len(names)
