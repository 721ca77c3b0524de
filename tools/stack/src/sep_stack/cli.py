"""The command line."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sep_kit.settings.loading import environment_faults
from sep_protos import DESCRIPTOR_SET

from sep_stack.address import Address
from sep_stack.console import Console, PartLogs
from sep_stack.envfile import read_env_file
from sep_stack.envoy.config import EnvoySettings, render
from sep_stack.envoy.edge import Edge
from sep_stack.faults import StackError
from sep_stack.key_files import make_missing_keys
from sep_stack.openapi.write import write_pages
from sep_stack.ports import check_ports
from sep_stack.probes import stack_is_healthy
from sep_stack.run_dir import locked
from sep_stack.settings import DEFAULT_PORTS, LOOPBACK, StackSettings, read_settings
from sep_stack.stack import stack_addresses, stack_parts
from sep_stack.supervisor import Patience, Supervisor

_SETTINGS_HELP = f"""\
settings, from the environment or the env file (the environment wins):
  OANDA_ENVIRONMENT   paper (brings its own broker), practice or live; paper if unset
  SEP_RUN_DIR         state, logs and lock; .run if unset
  HTTP_BIND           where REST and gRPC listen; {LOOPBACK} if unset
  EDGE_TLS_CERT/KEY   certificate and key of the public port; plain HTTP if unset
  API_KEYS_DIR        keys of who may write; SEP_RUN_DIR/keys if unset, made on first start
  CORS_ORIGINS        origins of web pages that may call, comma-separated; none if unset
  EDGE_CACHE          0 answers every read afresh; 1 if unset
  EDGE_WRITE_LIMIT    calls of each writing method one client may make in ten seconds; 20 if unset
  EDGE_LOGGED_READS   percentage of good reads in the access log; 1 if unset
  ports               {", ".join(f"{name} ({port})" for name, port in DEFAULT_PORTS.items())}
every other setting goes to the services as it is.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except StackError as error:
        print(f"sep-stack: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-stack", description="Run the SEP stack as local processes."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up",
        help="run the whole stack in the foreground until Ctrl-C",
        description="Run the whole stack in the foreground until Ctrl-C. Exits with 0 after a stop"
        " that was asked for, with 1 when it can't start or a part refuses its settings.",
        epilog=_SETTINGS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    up.add_argument("--env-file", type=Path, metavar="FILE", help="settings, such as a demo.env")
    up.add_argument(
        "--port-base", type=int, metavar="N", help="move every port: N for HTTP, then N+1, ..."
    )
    up.add_argument(
        "--ready-within",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="give up when the stack is not ready by then (%(default)g)",
    )
    up.set_defaults(command=_up)
    config = commands.add_parser(
        "envoy-config",
        help="write Envoy's configuration for containers",
        description="Write Envoy's configuration, and the contract's descriptor set beside it."
        " Reads HTTP_BIND, HTTP_PORT, ENVOY_ADMIN_PORT, GATEWAY_ADDR, EVALUATOR_ADDR,"
        " ALLOCATOR_ADDR and GUARD_ADDR from the environment.",
    )
    config.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file")
    config.set_defaults(command=_envoy_config)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    given = read_env_file(arguments.env_file) if arguments.env_file else {}
    env = {**given, **os.environ}
    settings = read_settings(env, arguments.port_base)
    # Each service would refuse its own; here all faults are told before anything starts.
    if faults := environment_faults(env):
        raise StackError("the settings have faults:", faults)
    with locked(settings.run_dir):
        check_ports(settings.listeners())
        make_missing_keys(settings.keys_dir)
        patience = Patience(ready_within=arguments.ready_within)
        return asyncio.run(_run(settings, env, patience))


async def _run(settings: StackSettings, env: Mapping[str, str], patience: Patience) -> int:
    parts = stack_parts(settings, env)
    names = [part.name for part in parts]
    console = Console(names)
    logs = PartLogs(settings.run_dir / "logs", names)

    def sink(name: str, line: bytes) -> None:
        logs.line(name, line)
        console.line(name, line)

    for name, ours in stack_addresses(settings).items():
        if env.get(name, ours) != ours:
            console.say(f"{name} from the environment is ignored: the stack's own is {ours}")
    if not settings.http.is_loopback:
        console.say(f"{settings.http} is open to others: whoever reaches it may read")
        if not settings.edge_tls:
            console.say("keys travel in the clear; set EDGE_TLS_CERT and EDGE_TLS_KEY")
    supervisor = Supervisor(
        parts,
        ready=stack_is_healthy(
            Address.parse(settings.url.partition("//")[2]), tls=settings.edge_tls is not None
        ),
        sink=sink,
        say=console.say,
        patience=patience,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # started with nohup: meant to outlive its terminal
        name = "Ctrl-C" if number is signal.SIGINT else number.name
        loop.add_signal_handler(number, supervisor.request_stop, name)
    try:
        failure = await supervisor.run(lambda: console.say(ready_text(settings)))
        console.say(f"failed: {failure}" if failure else "everything has stopped")
        if failure:
            console.say(f"why is in the logs, one a part: {_shown(settings.run_dir)}/logs")
    finally:
        console.close()
        logs.close()
    return 1 if failure else 0


def ready_text(settings: StackSettings) -> str:
    """What to try once the stack is ready."""
    url = settings.url
    scripts = Path(sys.executable).parent
    buf = shutil.which("buf", path=str(scripts)) or "buf"
    if Path(buf).is_relative_to(Path.cwd()):
        buf = str(Path(buf).relative_to(Path.cwd()))
    state, keys = _shown(settings.run_dir), _shown(settings.keys_dir)
    return f"""
SEP is ready on {url} ({settings.environment}). Try:
  curl -s {url}/api/status
  curl -s {url}/api/ranking/active
  curl -s {url}/api/trade/readiness
  curl -sN {url}/api/manifold/stream
what changes something needs the key in {keys}/write:
  KEY="Authorization: Bearer $(cat {keys}/write)"
  curl -s -H "$KEY" {url}/api/trade/reconcile -d '{{"dry_run": true}}'
  curl -s -H "$KEY" {url}/api/kill-switch -d '{{"kill_switch": true, "reason": "trying it"}}'
the same over gRPC (grpcurl works too):
  {buf} curl --protocol grpc --http2-prior-knowledge \\
    {url}/sep.allocator.v1.AllocatorService/ListRanking
logs: {state}/logs   state: {state}/valkey   stop: Ctrl-C
"""


def _shown(path: Path) -> Path:
    """The path as one would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _envoy_config(arguments: argparse.Namespace) -> int:
    env = os.environ
    settings = read_settings(env)
    peers = {
        "gateway": settings.gateway,
        "evaluator": settings.evaluator,
        "allocator": settings.allocator,
        "guard": settings.guard,
    }
    faults = []
    for name, default in peers.items():
        variable = f"{name.upper()}_ADDR"
        try:
            peers[name] = Address.parse(env.get(variable, str(default)))
        except ValueError as error:
            faults.append(f"{variable}: {error}")
    if faults:
        raise StackError("the settings have faults:", faults)
    out: Path = arguments.out.absolute()
    descriptor_set = out.with_name("contract.binpb")
    admin = settings.envoy_admin
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DESCRIPTOR_SET, descriptor_set)
        write_pages(out.parent, DESCRIPTOR_SET)
        out.write_text(
            render(
                EnvoySettings(
                    Edge(
                        settings.http,
                        "@sep-transcoding",
                        descriptor_set,
                        settings.edge_tls,
                        out.parent,
                        settings.cors_origins,
                        settings.edge_cache,
                        settings.edge_logged_reads,
                        settings.edge_write_limit,
                    ),
                    **peers,
                    contract=DESCRIPTOR_SET,
                    descriptor_set=descriptor_set,
                    grpc_tls=settings.grpc_tls,
                    admin=admin,
                )
            )
        )
    except OSError as error:
        raise StackError(f"can't write {out}: {error.strerror}") from error
    print(f"wrote {out}, {descriptor_set} and the API's pages beside them")
    return 0
