"""The parts of the SEP stack: what runs, with which arguments and environment."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from sep_protos import DESCRIPTOR_SET

from sep_stack.address import Address
from sep_stack.binaries import envoy_binary, valkey_binary
from sep_stack.envoy.admin import drained, socket_folder
from sep_stack.envoy.config import EnvoySettings, render
from sep_stack.envoy.edge import Edge
from sep_stack.openapi.write import write_pages
from sep_stack.part import Part
from sep_stack.probes import all_listen, http_answers, valkey_answers
from sep_stack.settings import LOOPBACK, OWN_NAMES, StackSettings

_SERVICES = ("gateway", "evaluator", "allocator", "guard")
_BROKER_URLS = {  # REST, streams
    "practice": ("https://api-fxpractice.oanda.com", "https://stream-fxpractice.oanda.com"),
    "live": ("https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com"),
}
DRAIN_SECONDS = 1.5
"""How long calls that are under way may take once the stack is told to stop."""

_TOKEN = "OANDA_API_TOKEN"  # noqa: S105  its name, not itself
# What any program may need to know about the machine, and nothing about trading.
_SYSTEM_NAMES = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


def stack_parts(settings: StackSettings, env: Mapping[str, str]) -> list[Part]:
    """The parts in the order in which they start, and the files they read.

    Args:
        settings: where everything listens.
        env: the real environment over the env file.
    """
    system = {name: env[name] for name in _SYSTEM_NAMES if name in env}
    shared = service_environment(settings, env)
    parts = [_valkey(settings, system)]
    if settings.paper_trading:
        parts.append(_paper_broker(settings, shared))
    parts += [_service(name, settings, shared) for name in _SERVICES]
    # Envoy would think them dead for a while if it asked too early.
    parts[-1] = replace(parts[-1], ready=all_listen({n: getattr(settings, n) for n in _SERVICES}))
    parts.append(_envoy(settings, system))
    return parts


def service_environment(settings: StackSettings, env: Mapping[str, str]) -> dict[str, str]:
    """What every service is told: all of the operator's settings, and where its peers are.

    Whole rather than filtered by name: a misspelt knob must reach the service that refuses it.
    """
    shared = {name: value for name, value in env.items() if name not in OWN_NAMES}
    shared |= stack_addresses(settings)
    shared |= {"OANDA_ENVIRONMENT": settings.environment, "PYTHONUNBUFFERED": "1"}
    paper = f"http://{settings.paper}"
    rest, streams = _BROKER_URLS.get(settings.environment, (paper, paper))
    shared.setdefault("OANDA_API_URL", rest)
    shared.setdefault("OANDA_STREAM_URL", streams)
    return shared


def stack_addresses(settings: StackSettings) -> dict[str, str]:
    """The settings that the stack makes itself; nothing else can set them."""
    return {
        "VALKEY_URL": f"redis://{settings.valkey}/0",
        "GATEWAY_ADDR": str(settings.gateway),
        "EVALUATOR_ADDR": str(settings.evaluator),
        "ALLOCATOR_ADDR": str(settings.allocator),
        "GUARD_ADDR": str(settings.guard),
        "API_KEYS_DIR": str(settings.keys_dir),
    }


def _valkey(settings: StackSettings, system: Mapping[str, str]) -> Part:
    data = settings.run_dir / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": LOOPBACK,
        "port": str(settings.valkey.port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",  # the append-only file is enough
        "maxmemory-policy": "noeviction",  # every key is a fact, none a cache
        "loglevel": "warning",
    }
    argv = [str(valkey_binary())]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Part("valkey", tuple(argv), system, ready=valkey_answers(settings.valkey))


def _paper_broker(settings: StackSettings, shared: Mapping[str, str]) -> Part:
    # Its account must be as old as what Valkey remembers of it.
    state = settings.run_dir / "paper" / "state.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    port = str(settings.paper.port)
    env = {"PAPER_STATE": str(state), **shared, "PAPER_PORT": port}
    argv = (sys.executable, "-m", "sep_paper_broker", "--port", port)
    return Part("paper", argv, env, http_answers("paper broker", settings.paper, "/healthz"))


def _service(name: str, settings: StackSettings, shared: Mapping[str, str]) -> Part:
    address: Address = getattr(settings, name)
    env = {**shared, "GRPC_LISTEN": str(address)}
    if name != "gateway":  # the only one that speaks to the broker
        env.pop(_TOKEN, None)
    return Part(name, (sys.executable, "-m", f"sep_{name}"), env)


def _envoy(settings: StackSettings, system: Mapping[str, str]) -> Part:
    config = settings.run_dir / "envoy.json"
    ready = envoy_settings(settings)
    write_pages(settings.run_dir / "pages", DESCRIPTOR_SET)
    config.write_text(render(ready))
    # One thread is far more than four Python services need. -l warn: it tells a lot otherwise.
    # The access log is for reading now, not ten seconds later.
    argv = (
        "--file-flush-interval-msec",
        "500",
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "warn",
        "-c",
        str(config),
    )
    drain = drained(ready.admin, DRAIN_SECONDS) if ready.admin else None
    return Part("envoy", (str(envoy_binary()), *argv), system, drain=drain)


def envoy_settings(settings: StackSettings) -> EnvoySettings:
    """What Envoy needs to know of the stack."""
    sockets = socket_folder(settings.run_dir)
    return EnvoySettings(
        Edge(
            settings.http,
            str(sockets / "transcoding.sock"),
            DESCRIPTOR_SET,
            settings.edge_tls,
            settings.run_dir / "pages",
            settings.cors_origins,
            settings.edge_cache,
            settings.edge_logged_reads,
            settings.edge_write_limit,
        ),
        gateway=settings.gateway,
        evaluator=settings.evaluator,
        allocator=settings.allocator,
        guard=settings.guard,
        contract=DESCRIPTOR_SET,
        descriptor_set=DESCRIPTOR_SET,
        grpc_tls=settings.grpc_tls,
        admin=settings.envoy_admin or str(sockets / "admin.sock"),
    )
