"""The parts of the stack: their order, arguments and environment."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from sep_edge.address import Address
from sep_edge.envoy.admin import drain
from sep_edge.envoy.settings import MAX_CONNECTIONS, EdgeSettings
from sep_protos import DESCRIPTOR_SET

from sep_local.binaries import envoy_binary, valkey_binary
from sep_local.edge_files import write_edge_files
from sep_local.part import Part
from sep_local.probes import all_listen, http_responds, valkey_responds
from sep_local.run_dir import socket_folder
from sep_local.settings import LOCAL_NAMES, LOOPBACK, LocalSettings
from sep_local.valkey_users import make_users, url_file

DRAIN_SECONDS = 1.5
"""How long calls in progress may take once a stop is requested."""

OPERATOR_SOCKET = "operator.sock"
"""In the run directory; the same API, whatever happens to the public port."""
_OTHER_FILES = 256
"""Files that Envoy needs beside its clients' connections."""
_SERVICES = ("gateway", "evaluator", "allocator", "guard", "journal")
_BROKER_URLS = {  # REST, streams
    "practice": ("https://api-fxpractice.oanda.com", "https://stream-fxpractice.oanda.com"),
    "live": ("https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com"),
}
_NOTIFICATION_URLS = ("NOTIFY_URLS", "NOTIFY_HEARTBEAT_URL")
_MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "NUMPY_MADVISE_HUGEPAGE": "0",
}
"""How services use memory. The C library makes up to eight arenas a processor, each of which holds
memory that others freed: with two the evaluator takes 50 MB less for 90 days of M1 of eight pairs
(measured). And it raises, up to 32 MB, the size from which on memory is the machine's again once it
is freed, unless that is set: with 128 kB the gateway takes 25 MB less after a backfill (measured).
In huge pages the spare capacity of arrays would take memory before it is used: 12 MB at the
evaluator (measured)."""
_TOKEN = "OANDA_API_TOKEN"  # noqa: S105  its name, not itself
# What any program may need to know about the machine, and nothing about trading.
_SYSTEM_NAMES = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


def stack_parts(settings: LocalSettings, env: Mapping[str, str]) -> list[Part]:
    """The parts in the order of their start. Writes the files that they read.

    Args:
        env: the real environment over the env file.
    """
    system = {name: env[name] for name in _SYSTEM_NAMES if name in env}
    # First: it makes the users that the services' environment names.
    valkey = _valkey(settings, system)
    shared = service_environment(settings, env)
    parts = [valkey]
    if settings.paper_trading:
        parts.append(_paper_broker(settings, shared))
    parts += [_service(name, settings, shared) for name in _SERVICES]
    # If Envoy started earlier, it would mark the services unhealthy for a while.
    parts[-1] = replace(parts[-1], ready=all_listen({n: getattr(settings, n) for n in _SERVICES}))
    parts.append(_envoy(settings, system))
    return parts


def service_environment(settings: LocalSettings, env: Mapping[str, str]) -> dict[str, str]:
    """Environment of every service: all of the operator's settings, and the stack's addresses.

    It is not filtered by name, so that a misspelt setting reaches the service that refuses it.
    """
    shared = {name: value for name, value in env.items() if name not in LOCAL_NAMES}
    shared |= stack_addresses(settings)
    shared |= {"OANDA_ENVIRONMENT": settings.environment, "PYTHONUNBUFFERED": "1"}
    shared = {**_MEMORY, **shared}
    paper = f"http://{settings.paper}"
    rest, streams = _BROKER_URLS.get(settings.environment, (paper, paper))
    shared.setdefault("OANDA_API_URL", rest)
    shared.setdefault("OANDA_STREAM_URL", streams)
    replay = Path(sys.executable).with_name("sep-replay")
    if replay.is_file():
        shared.setdefault("JOURNAL_REPLAY_PROGRAM", str(replay))
    shared.setdefault("JOURNAL_DB_URL", f"sqlite:///{settings.run_dir}/journal/journal.db")
    return shared


def stack_addresses(settings: LocalSettings) -> dict[str, str]:
    """The services' settings that follow from the local ones; the environment can't set them."""
    return {
        "VALKEY_URL": _valkey_url(settings),
        "GATEWAY_ADDR": str(settings.gateway),
        "EVALUATOR_ADDR": str(settings.evaluator),
        "ALLOCATOR_ADDR": str(settings.allocator),
        "GUARD_ADDR": str(settings.guard),
        "JOURNAL_ADDR": str(settings.journal),
        "API_KEYS_DIR": str(settings.keys_dir),
        "KILL_SWITCH_DIR": str(settings.run_dir / "kill_switch"),
    }


def _valkey_url(settings: LocalSettings) -> str:
    """The URL with the password of the services' user, once Valkey's users are made."""
    made = url_file(settings.run_dir)
    return made.read_text().strip() if made.is_file() else f"redis://{settings.valkey}/0"


def _valkey(settings: LocalSettings, system: Mapping[str, str]) -> Part:
    data = settings.run_dir / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": LOOPBACK,
        "port": str(settings.valkey.port),
        "dir": str(data),
        "aclfile": str(make_users(settings.run_dir, settings.valkey)),
        "appendonly": "yes",
        # An engaged kill switch is on disk before its caller reads that it is.
        "appendfsync": "always",
        "save": "",  # the append-only file is enough
        "maxmemory-policy": "noeviction",  # every key is state, none a cache
        "loglevel": "warning",
    }
    argv = [str(valkey_binary())]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Part("valkey", tuple(argv), system, ready=valkey_responds(settings.valkey))


def _paper_broker(settings: LocalSettings, shared: Mapping[str, str]) -> Part:
    # In the run directory: its account and the state in Valkey must be removed together.
    state = settings.run_dir / "paper" / "state.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    port = str(settings.paper.port)
    env = {"PAPER_STATE": str(state), **shared, "PAPER_PORT": port}
    argv = (sys.executable, "-m", "sep_paper_broker", "--port", port)
    return Part("paper", argv, env, http_responds("paper broker", settings.paper, "/healthz"))


def _service(name: str, settings: LocalSettings, shared: Mapping[str, str]) -> Part:
    address: Address = getattr(settings, name)
    env = {**shared, "GRPC_LISTEN": str(address)}
    if name != "gateway":  # the only one that connects to the broker
        env.pop(_TOKEN, None)
    if name != "journal":  # the only one that notifies
        for secret in _NOTIFICATION_URLS:
            env.pop(secret, None)
    return Part(name, (sys.executable, "-m", f"sep_{name}"), env)


def _envoy(settings: LocalSettings, system: Mapping[str, str]) -> Part:
    config = settings.run_dir / "envoy.json"
    edge = edge_settings(settings)
    write_edge_files(edge, config, settings.run_dir / "pages", settings.console)
    _link_operator_socket(settings.run_dir)
    # One thread is far more than five Python services need. The access log is flushed every half
    # second instead of every ten seconds, for operators who follow it.
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
    drain_calls = partial(drain, edge.admin, DRAIN_SECONDS) if edge.admin else None
    return Part("envoy", (str(envoy_binary()), *argv), system, drain=drain_calls)


def _link_operator_socket(run_dir: Path) -> None:
    """A link to the operator's socket in the run directory, where the socket lies elsewhere."""
    folder = socket_folder(run_dir)
    if folder != run_dir:
        link = run_dir / OPERATOR_SOCKET
        link.unlink(missing_ok=True)
        link.symlink_to(folder / OPERATOR_SOCKET)


def _open_files() -> int:
    """How many files a process of this user may have open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def edge_settings(settings: LocalSettings) -> EdgeSettings:
    """Envoy's settings."""
    sockets = socket_folder(settings.run_dir)
    return EdgeSettings(
        listen=settings.http,
        transcoding=str(sockets / "transcoding.sock"),
        gateway=settings.gateway,
        evaluator=settings.evaluator,
        allocator=settings.allocator,
        guard=settings.guard,
        journal=settings.journal,
        descriptor_set=DESCRIPTOR_SET,
        tls=settings.edge_tls,
        grpc_tls=settings.grpc_tls,
        operator=str(sockets / OPERATOR_SOCKET),
        admin=settings.envoy_admin or str(sockets / "admin.sock"),
        pages=settings.run_dir / "pages",
        cors_origins=settings.cors_origins,
        cache=settings.edge_cache,
        logged_reads=settings.edge_logged_reads,
        allowed_hosts=settings.allowed_hosts,
        read_limit=settings.edge_read_limit,
        max_connections=min(MAX_CONNECTIONS, _open_files() - _OTHER_FILES),
    )
