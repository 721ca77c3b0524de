"""The whole stack in containers, run by ``docker compose`` on a container engine of the tests."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.containers.engine import Engine, NoEngineError, running_engine
from tests.containers.forward import Forward
from tests.containers.images import (
    PYTHON,
    ROOT,
    build_wheelhouse,
    load_images,
    prometheus_folder,
)
from tests.containers.override import HOLDER, write_override
from tests.operations.operator_shell import link_python

ACCOUNT = "101-001-0000001-001"  # of deploy/demo.env
TOKEN = (ROOT / "deploy" / "paper_token").read_text().strip()
_PROJECT = (
    *("bin", "console", "deploy", "docs", "libs", "protos", "requirements", "scripts", "services"),
    *("simulators", "tools", ".dockerignore", "Dockerfile", "compose.yaml", "deploy.sh"),
)
_IGNORED = shutil.ignore_patterns(
    "__pycache__", "*.egg-info", "build", "gen", "dist", "node_modules", ".node"
)
NAMES = [
    f"sep-{name}"
    for name in (
        "valkey",
        "paper-broker",
        "gateway",
        "evaluator",
        "allocator",
        "guard",
        "journal",
        "envoy",
    )
]


class Containers:
    """The stack's containers, reached through Envoy's port."""

    def __init__(self, engine: Engine, project: Path, override: Path) -> None:
        self.engine = engine
        self.project = project
        self.forward = Forward(lambda: self.pid(HOLDER), 8000)
        self.broker = Forward(lambda: self.pid(HOLDER), 18080)
        self.url = f"http://127.0.0.1:{self.forward.port}"
        # What an operator exports, and what makes compose use the override of the tests.
        self.env = {
            "COMPOSE_FILE": f"{project / 'compose.yaml'}:{override}",
            "COMPOSE_PROJECT_NAME": "sep",
            "PYTHON": PYTHON,
            "HTTP_PORT": str(self.forward.port),
            "SEP_URL": self.url,
            "SEP_KEY_FILE": ".run/deploy/write_key",
        }

    def run(self, *command: str, within_s: float = 300, **env: str) -> tuple[int, str]:
        """Run a command in the project's folder, as an operator does."""
        done = self.engine.run(
            command, env={**self.env, **env}, cwd=self.project, within_s=within_s
        )
        return done.returncode, done.stdout

    def deploy(self, *options: str, **env: str) -> tuple[int, str]:
        """Run deploy.sh."""
        return self.run("./deploy.sh", *options, within_s=560, **env)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the project's folder, in a process group of its own."""
        return self.engine.start(list(command), env=self.env, cwd=self.project)

    def compose(self, *arguments: str, within_s: float = 300, **env: str) -> str:
        """Run docker compose; its output."""
        command = ("docker", "compose", "--profile", "paper")
        code, output = self.run(*command, *arguments, within_s=within_s, **env)
        if code:
            pytest.fail(f"docker compose {' '.join(arguments)}:\n{output[-6000:]}\n{self.logs()}")
        return output

    def logs(self) -> str:
        """The last lines of every container."""
        command = ("docker", "compose", "--profile", "*", "logs", "--tail", "15")
        return self.run(*command, within_s=60)[1]

    def pid(self, container: str) -> int:
        """The id of a container's first process.

        Raises:
            LookupError: the container does not run.
        """
        done = self.engine.run(["docker", "inspect", "--format", "{{.State.Pid}}", container])
        if done.returncode or not int(done.stdout):
            raise LookupError(container)
        return int(done.stdout)

    def inspect(self, container: str) -> dict[str, Any]:
        """The output of ``docker inspect`` for a container."""
        found: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", container))
        return found[0]

    def get(self, path: str, **params: str) -> httpx.Response:
        """GET through Envoy.

        Raises:
            AssertionError: there is no answer.
        """
        try:
            return httpx.get(f"{self.url}{path}", params=params or None, timeout=10)
        except httpx.TransportError as error:
            raise AssertionError(f"no answer: {error!r}") from error

    def post(self, path: str, body: object) -> httpx.Response:
        """POST through Envoy, with the write key of the stack."""
        key = self.engine.docker("exec", "sep-guard", "cat", "/keys/write")
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)

    @property
    def kill_switch(self) -> bool:
        """Whether it is engaged."""
        return bool(self.get("/api/kill-switch").json()["kill_switch"])

    def set_kill_switch(self, *, engaged: bool) -> None:
        """Engage or release it."""
        answer = self.post("/api/kill-switch", {"kill_switch": engaged, "reason": "test"})
        assert answer.status_code == httpx.codes.OK, answer.text

    def healthy(self) -> bool:
        """Whether every part serves."""
        return self.get("/health").status_code == httpx.codes.OK

    def trade(self, instrument: str, units: int) -> None:
        """Open a position at the paper broker, as by hand."""
        order = {"type": "MARKET", "instrument": instrument, "units": str(units)}
        response = httpx.post(
            f"http://127.0.0.1:{self.broker.port}/v3/accounts/{ACCOUNT}/orders",
            json={"order": {**order, "timeInForce": "FOK", "positionFill": "DEFAULT"}},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        )
        assert "orderFillTransaction" in response.json(), response.text


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A container engine with every image that compose.yaml would pull."""
    try:
        with running_engine() as started:
            folder = ROOT / ".venv" / "share" / "sep-containers"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                wheelhouse = build_wheelhouse(folder)
            except subprocess.SubprocessError as error:
                pytest.skip(f"CONTAINERS NOT TESTED: no wheels to build images from: {error}")
            load_images(started, wheelhouse, prometheus=prometheus_folder())
            yield started
    except NoEngineError as error:
        pytest.skip(f"CONTAINERS NOT TESTED: no container engine can run here: {error}")


def _copy_project(to: Path) -> Path:
    """Copy what a deploy uses: an edit during the tests must not make another release."""
    to.mkdir()
    for name in _PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, symlinks=True, ignore=_IGNORED)
        else:
            shutil.copy2(source, to / name)
    link_python(to)
    # The tests call more often than the default limit allows, and make the broker fail.
    with (to / "deploy" / "demo.env").open("a") as settings:
        settings.write("EDGE_WRITE_LIMIT=1000\nPAPER_ADMIN=1\n")
    return to


@dataclass(frozen=True)
class Deployed:
    """Result of a deploy: exit code, output, and whether the kill switch was engaged after it."""

    code: int
    output: str
    engaged: bool


@pytest.fixture(scope="session")
def containers(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The stack's containers; nothing is built or running yet."""
    folder = tmp_path_factory.mktemp("compose")
    write_override(ROOT / "compose.yaml", folder / "override.yaml")
    stack = Containers(engine, _copy_project(folder / "project"), folder / "override.yaml")
    yield stack
    stack.run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5")
    stack.forward.close()
    stack.broker.close()


@pytest.fixture(scope="session")
def deployed(containers: Containers) -> Deployed:
    """The stack after ``./deploy.sh`` where nothing ran before."""
    # A URL that is still set in the operator's shell must not reach the paper profile.
    code, output = containers.deploy("--wait", "240", OANDA_API_URL="http://127.0.0.1:9")
    if code:
        pytest.fail(f"deploy.sh ended with {code}:\n{output[-8000:]}")
    return Deployed(code, output, containers.kill_switch)
