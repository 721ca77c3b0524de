"""``sep-stack up``: runs the whole stack in the foreground."""

import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from sep_edge.address import Address

from sep_local.check_apart import check_apart
from sep_local.console import Console, PartLogs
from sep_local.key_files import make_missing_keys
from sep_local.parts import service_environment, stack_addresses, stack_parts
from sep_local.ports import check_ports
from sep_local.probes import stack_is_healthy
from sep_local.run_dir import locked
from sep_local.settings import LocalSettings, read_settings
from sep_local.short_lines import short_line
from sep_local.supervisor import Supervisor, Timeouts

_OWNER_ONLY = 0o077
"""Logs, state and keys are for the user who runs the stack."""


def run_stack(
    env: Mapping[str, str],
    port_base: int | None,
    timeouts: Timeouts,
    from_file: Collection[str] = (),
    console: Path | None = None,
) -> int:
    """Run the stack until it is stopped.

    Args:
        from_file: the names in ``env`` that an env file sets.
        console: folder of the built console.

    Returns:
        The exit code: 0 after a requested stop, 1 after a failure.

    Raises:
        StackError: the settings have faults, a port is in use, or another stack is running.
    """
    settings = replace(read_settings(env, port_base), console=console)
    # Each service would refuse its own settings; this lists all faults before anything starts.
    # Warnings are logged by the services.
    check_apart(service_environment(settings, env), from_file)
    os.umask(_OWNER_ONLY)
    with locked(settings.run_dir):
        check_ports(settings.listeners())
        make_missing_keys(settings.keys_dir)
        return asyncio.run(_supervise(settings, env, timeouts))


async def _supervise(settings: LocalSettings, env: Mapping[str, str], timeouts: Timeouts) -> int:
    parts = stack_parts(settings, env)
    names = [part.name for part in parts]
    console = Console(names)
    logs = PartLogs(settings.run_dir / "logs", names)

    def sink(name: str, line: bytes) -> None:
        logs.line(name, line)
        if (shown := short_line(line)) is not None:
            console.line(name, shown)

    _warn(console, settings, env)
    supervisor = Supervisor(
        parts,
        ready=stack_is_healthy(
            Address.parse(settings.url.partition("//")[2]), tls=settings.edge_tls is not None
        ),
        sink=sink,
        report=console.message,
        timeouts=timeouts,
    )
    _stop_on_signals(supervisor)
    text = ready_text(settings, reads_need_key=env.get("API_READS") == "key")
    try:
        failure = await supervisor.run(lambda: console.message(text))
        console.message(f"failed: {failure}" if failure else "everything has stopped")
        if failure:
            console.message(f"each part's log is in {_shown(settings.run_dir)}/logs")
    finally:
        console.close()
        logs.close()
    return 1 if failure else 0


def _warn(console: Console, settings: LocalSettings, env: Mapping[str, str]) -> None:
    for name, address in stack_addresses(settings).items():
        if env.get(name, address) != address:
            # The stack's URL of Valkey holds a password.
            shown = "a Valkey of its own" if name == "VALKEY_URL" else address
            console.message(f"{name} from the environment is ignored: the stack uses {shown}")
    if not settings.http.is_loopback:
        console.message(f"{settings.http} is reachable from other machines, which may read")
        if not settings.edge_tls:
            console.message("keys are sent unencrypted; set EDGE_TLS_CERT and EDGE_TLS_KEY")


def _stop_on_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started with nohup: it must outlive its terminal
        name = "Ctrl-C" if number is signal.SIGINT else number.name
        loop.add_signal_handler(number, supervisor.request_stop, name)


_GENERATED = """\
THIS MARKET IS GENERATED AND MADE OF TRENDS: its win rate and profit mean nothing.
"""


def ready_text(settings: LocalSettings, *, reads_need_key: bool = False) -> str:
    """Example commands, printed when the stack is ready."""
    url = settings.url
    programs = Path(sys.executable).parent
    buf = _quoted(programs / "buf")
    # A development tool: an environment that only runs the stack has none.
    has_buf = shutil.which("buf", path=str(programs)) is not None
    over_grpc = "grpcurl works too" if has_buf else "first: make .venv/installed-dev; or grpcurl"
    state, write_key = _shown(settings.run_dir), settings.keys_dir / "write"
    key = '-H "$KEY" '
    read = key if reads_need_key else ""
    who_needs = "every call needs" if reads_need_key else "writes need"
    market = _GENERATED if settings.paper_trading else ""
    return f"""
SEP is ready on {url} ({settings.environment}). Open it in a browser, or try this here.
{market}{who_needs} the key in {_shown(write_key)}:
  KEY="Authorization: Bearer $(cat {_quoted(write_key)})"
reads:
  curl -s {read}{url}/api/status
  curl -s {read}{url}/api/ranking/active
  curl -s {read}{url}/api/trade/readiness
  curl -sN {read}{url}/api/manifold/stream
writes:
  curl -s {key}{url}/api/trade/reconcile -d '{{"dry_run": true}}'
  curl -s {key}{url}/api/kill-switch -d '{{"kill_switch": true, "reason": "trying it"}}'
the same over gRPC ({over_grpc}):
  {buf} curl {read}--protocol grpc --http2-prior-knowledge \\
    {url}/sep.allocator.v1.AllocatorService/ListRanking
all routes: {url}/docs   logs: {state}/logs   state: {state}/valkey   stop: Ctrl-C
"""


def _quoted(path: Path) -> str:
    """The path as a command names it: the folder's own name may hold a space."""
    return shlex.quote(str(_shown(path)))


def _shown(path: Path) -> Path:
    """The path, relative to the current directory where it is inside it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
