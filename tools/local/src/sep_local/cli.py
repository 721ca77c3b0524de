"""The command line of ``sep-stack``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sep_local.env_file import read_env_file
from sep_local.errors import StackError
from sep_local.parts import service_environment
from sep_local.settings import DEFAULT_PORTS, LOOPBACK, read_settings
from sep_local.supervisor import Timeouts
from sep_local.systemd_command import install, uninstall
from sep_local.up import run_stack

_SETTINGS_HELP = f"""\
settings, from the environment or the env file (the environment wins):
  OANDA_ENVIRONMENT   paper (runs its own broker), practice or live; paper if unset
  SEP_RUN_DIR         state, logs and lock; .run if unset
  HTTP_BIND           where REST and gRPC listen; {LOOPBACK} if unset
  EDGE_TLS_CERT/KEY   certificate and key of the public port; plain HTTP if unset
  API_KEYS_DIR        API keys; SEP_RUN_DIR/keys if unset, created on the first start
  CORS_ORIGINS        origins of web pages that may call, comma-separated; none if unset
  EDGE_CACHE          0 disables Envoy's cache of reads; 1 if unset
  ALLOWED_HOSTS       host names of the public port, beside localhost and HTTP_BIND; * for any
  EDGE_READ_LIMIT     calls of candles, of metrics, of pages an address may make in ten seconds; 50
  EDGE_LOGGED_READS   percentage of successful reads in the access log; 1 if unset
  ports               {", ".join(f"{name} ({port})" for name, port in DEFAULT_PORTS.items())}
every other setting is passed on to the services.
"""


_CONSOLE_HELP = "the built console, to serve at /; without it a page of links is served there"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
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
        description="Run the whole stack in the foreground until Ctrl-C. Exits with 0 after a"
        " requested stop, with 1 when it can't start or a part refuses its settings.",
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
        help="fail when the stack is not ready by then (%(default)g)",
    )
    up.add_argument("--console", type=Path, metavar="DIR", help=_CONSOLE_HELP)
    up.set_defaults(command=_up)
    check = commands.add_parser(
        "check",
        help="check an env file, and what the environment changes of it",
        description="Check every setting of the stack and what must hold between them, as each"
        " service does at its start. Exits with 1 and lists all faults; warnings change nothing.",
    )
    check.add_argument("--env-file", type=Path, required=True, metavar="FILE")
    check.add_argument(
        "--token-in-file",
        action="store_true",
        help="the broker's token is given to the stack later",
    )
    check.set_defaults(command=_check)
    examine = commands.add_parser(
        "doctor",
        help="look for what would stop a stack on this machine, and say what to do",
        description="Look at settings, disk, memory, clock, ports, keys, versions, server programs"
        " and the broker, and say what to do about each fault. Changes nothing. Exits with 1 if"
        " there is a fault; warnings change nothing.",
    )
    examine.add_argument("--env-file", type=Path, metavar="FILE", help="settings of the stack")
    examine.add_argument("--port-base", type=int, metavar="N", help="as for up")
    examine.add_argument("--json", action="store_true", help="print JSON")
    examine.set_defaults(command=_doctor)
    _add_service(commands)
    config = commands.add_parser(
        "envoy-config",
        help="write Envoy's configuration for containers",
        description="Write Envoy's configuration, and the contract's descriptor set beside it."
        " Reads HTTP_BIND, HTTP_PORT, ENVOY_ADMIN_PORT, GATEWAY_ADDR, EVALUATOR_ADDR,"
        " ALLOCATOR_ADDR and GUARD_ADDR from the environment.",
    )
    config.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSON file")
    config.add_argument("--console", type=Path, metavar="DIR", help=_CONSOLE_HELP)
    config.set_defaults(command=_envoy_config)
    return parser


def _add_service(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``install`` and ``uninstall``."""
    make = commands.add_parser(
        "install",
        help="install the stack as a service of systemd",
        description="Install this checkout's stack as a service of systemd. Needs root.",
    )
    make.add_argument(
        "--env-file", type=Path, required=True, metavar="FILE", help="settings, if none yet"
    )
    make.set_defaults(command=install)
    undo = commands.add_parser(
        "uninstall",
        help="take that service away; settings and state stay",
        description="Stop the service and take it away. Settings, secrets and state stay.",
    )
    undo.set_defaults(command=uninstall)
    for parser in (make, undo):
        parser.add_argument("--dry-run", action="store_true", help="print each step, do nothing")
        parser.add_argument(
            "--root", type=Path, default=Path("/"), metavar="DIR", help="put files below it"
        )


def _up(arguments: argparse.Namespace) -> int:
    from_file = read_env_file(arguments.env_file) if arguments.env_file else {}
    timeouts = Timeouts(ready_within=arguments.ready_within)
    env = {**from_file, **os.environ}
    return run_stack(env, arguments.port_base, timeouts, from_file, console=arguments.console)


# The imports below take memory that ``up`` would hold for as long as the stack runs.


def _check(arguments: argparse.Namespace) -> int:
    from sep_local.check import check_environment

    from_file = read_env_file(arguments.env_file)
    env = {**from_file, **os.environ}
    if arguments.token_in_file:
        env["OANDA_API_TOKEN"] = "in-a-file"  # noqa: S105  not the token
    env = service_environment(read_settings(env), env)
    for warning in check_environment(env, from_file):
        print(f"sep-stack: warning: {warning}", file=sys.stderr)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from sep_local.doctor import __main__ as doctor

    return doctor.run(arguments)


def _envoy_config(arguments: argparse.Namespace) -> int:
    from sep_local.envoy_config import write_envoy_config

    write_envoy_config(arguments.out, os.environ, arguments.console)
    return 0
