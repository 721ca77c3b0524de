"""Settings of the local stack: ports, run directory, broker, and the public port's options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sep_edge.address import Address
from sep_edge.envoy.endpoints import Tls
from sep_edge.envoy.hosts import is_host
from sep_edge.envoy.settings import DEFAULT_READ_LIMIT

from sep_local.errors import StackError

LOOPBACK = "127.0.0.1"

DEFAULT_PORTS: Mapping[str, int] = {
    "HTTP_PORT": 8000,
    "VALKEY_PORT": 16379,
    "PAPER_PORT": 18080,
    "GATEWAY_PORT": 15051,
    "EVALUATOR_PORT": 15052,
    "ALLOCATOR_PORT": 15053,
    "GUARD_PORT": 15054,
    "ENVOY_ADMIN_PORT": 0,
    "JOURNAL_PORT": 15055,
}
"""In the order in which ``--port-base`` assigns them; 0 means off."""

ENVIRONMENTS = ("paper", "practice", "live")
LOCAL_NAMES = frozenset(
    {
        *DEFAULT_PORTS,
        "HTTP_BIND",
        "SEP_RUN_DIR",
        "EDGE_TLS_CERT",
        "EDGE_TLS_KEY",
        "EDGE_CACHE",
        "EDGE_LOGGED_READS",
        "ALLOWED_HOSTS",
        "EDGE_READ_LIMIT",
        "CORS_ORIGINS",
    }
)
"""Settings that are read here only; services don't know them."""

PAPER_NAMES = frozenset(
    {
        "PAPER_HOST",
        "PAPER_ADMIN",
        "PAPER_ADMIN_PORT",
        "PAPER_SEED",
        "PAPER_BALANCE",
        "PAPER_STATE",
        "PAPER_CANDLES_DIR",
        "PAPER_HEDGING",
        "PAPER_MT4_ACCOUNT",
    }
)
"""Settings that only the paper broker reads; a test compares them with its own."""

_PORT_RANGE = range(1, 65_536)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Addresses, directories and options of a local stack."""

    environment: str
    run_dir: Path
    http: Address
    valkey: Address
    paper: Address
    gateway: Address
    evaluator: Address
    allocator: Address
    guard: Address
    journal: Address
    envoy_admin: Address | None
    keys_dir: Path
    edge_tls: Tls | None
    grpc_tls: Tls | None
    cors_origins: tuple[str, ...]
    edge_cache: bool
    edge_logged_reads: int
    allowed_hosts: tuple[str, ...]
    edge_read_limit: int
    console: Path | None = None
    """Folder of the built console; None for none."""

    @property
    def paper_trading(self) -> bool:
        """Whether the stack runs the paper broker."""
        return self.environment == "paper"

    @property
    def url(self) -> str:
        """The stack's URL on this machine."""
        host = LOOPBACK if self.http.host in {"0.0.0.0", "::"} else self.http.host
        return f"{'https' if self.edge_tls else 'http'}://{Address(host, self.http.port)}"

    def listeners(self) -> dict[str, Address]:
        """Every address that a part listens on, by the setting that moves it."""
        listeners = {
            "HTTP_PORT": self.http,
            "VALKEY_PORT": self.valkey,
            "PAPER_PORT": self.paper,
            "GATEWAY_PORT": self.gateway,
            "EVALUATOR_PORT": self.evaluator,
            "ALLOCATOR_PORT": self.allocator,
            "GUARD_PORT": self.guard,
            "JOURNAL_PORT": self.journal,
        }
        if not self.paper_trading:
            del listeners["PAPER_PORT"]
        if self.envoy_admin:
            listeners["ENVOY_ADMIN_PORT"] = self.envoy_admin
        return listeners


def read_settings(env: Mapping[str, str], port_base: int | None = None) -> LocalSettings:
    """Read the settings from an environment.

    Args:
        port_base: the first of the ports; the others follow it.

    Raises:
        StackError: values are malformed or contradict each other; all are listed.
    """
    faults: list[str] = []
    ports = _ports(env, port_base, faults)
    environment = env.get("OANDA_ENVIRONMENT", "paper")
    if environment not in ENVIRONMENTS:
        faults.append(f"OANDA_ENVIRONMENT={environment!r}: one of {', '.join(ENVIRONMENTS)}")
    http = Address(env.get("HTTP_BIND", LOOPBACK), ports["HTTP_PORT"])
    if not http.is_ip:
        faults.append(f"HTTP_BIND={http.host!r}: an IP address, such as {LOOPBACK}")
    _check_broker_override(env, environment, faults)
    run_dir = Path(env.get("SEP_RUN_DIR") or ".run").absolute()
    edge_tls = _tls(env, ("EDGE_TLS_CERT", "EDGE_TLS_KEY"), faults)
    grpc_tls = _tls(env, ("GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CA"), faults)
    origins = _origins(env, faults)
    cache = env.get("EDGE_CACHE", "1")
    if cache not in {"0", "1"}:
        faults.append(f"EDGE_CACHE={cache!r}: 0 or 1")
    logged = env.get("EDGE_LOGGED_READS", "1")
    if not (logged.isdecimal() and int(logged) <= 100):
        faults.append(f"EDGE_LOGGED_READS={logged!r}: a percentage from 0 to 100")
    hosts = _hosts(env, faults)
    limit = env.get("EDGE_READ_LIMIT", str(DEFAULT_READ_LIMIT))
    if not (limit.isdecimal() and 1 <= int(limit) <= 1_000_000):
        faults.append(f"EDGE_READ_LIMIT={limit!r}: calls in ten seconds, from 1 to 1000000")
    if faults:
        raise StackError("the settings have faults:", faults)
    admin_port = ports["ENVOY_ADMIN_PORT"]
    return LocalSettings(
        environment=environment,
        run_dir=run_dir,
        http=http,
        valkey=Address(LOOPBACK, ports["VALKEY_PORT"]),
        paper=Address(LOOPBACK, ports["PAPER_PORT"]),
        gateway=Address(LOOPBACK, ports["GATEWAY_PORT"]),
        evaluator=Address(LOOPBACK, ports["EVALUATOR_PORT"]),
        allocator=Address(LOOPBACK, ports["ALLOCATOR_PORT"]),
        guard=Address(LOOPBACK, ports["GUARD_PORT"]),
        journal=Address(LOOPBACK, ports["JOURNAL_PORT"]),
        envoy_admin=Address(LOOPBACK, admin_port) if admin_port else None,
        keys_dir=Path(env.get("API_KEYS_DIR") or run_dir / "keys").absolute(),
        edge_tls=edge_tls,
        grpc_tls=grpc_tls,
        cors_origins=origins,
        edge_cache=cache == "1",
        edge_logged_reads=int(logged),
        allowed_hosts=hosts,
        edge_read_limit=int(limit),
    )


def _tls(env: Mapping[str, str], names: tuple[str, ...], faults: list[str]) -> Tls | None:
    """The files that these settings name; None without any."""
    given = {name: Path(env[name]).absolute() for name in names if env.get(name)}
    if not given:
        return None
    faults += [f"{name}={path}: no such file" for name, path in given.items() if not path.is_file()]
    if len(given) < len(names):
        faults.append(f"{', '.join(names)}: set all of them or none")
        return None
    return Tls(*given.values())


def _origins(env: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    origins = tuple(o.strip() for o in env.get("CORS_ORIGINS", "").split(",") if o.strip())
    faults += [
        f"CORS_ORIGINS: {origin!r} is not an origin such as https://desk.example:8443"
        for origin in origins
        if not _ORIGIN.fullmatch(origin)
    ]
    return origins


def _hosts(env: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    hosts = tuple(h.strip() for h in env.get("ALLOWED_HOSTS", "").split(",") if h.strip())
    faults += [
        f"ALLOWED_HOSTS: {host!r} is not a host name without a port, such as desk.example"
        for host in hosts
        if not is_host(host)
    ]
    return hosts


def _ports(env: Mapping[str, str], base: int | None, faults: list[str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for offset, (name, default) in enumerate(DEFAULT_PORTS.items()):
        text = env.get(name, str(default))
        off = default == 0 and text == "0"
        if not off and not (text.isdecimal() and int(text) in _PORT_RANGE):
            faults.append(f"{name}={text!r}: a port from 1 to 65535")
            text = "0"
        ports[name] = int(text) if base is None or off else base + offset
        if base is not None and not off and ports[name] not in _PORT_RANGE:
            faults.append(f"--port-base {base}: gives {name} the port {ports[name]}")
        others = [other for other, port in ports.items() if other != name and port == ports[name]]
        if ports[name] and others:
            faults.append(f"{name}={ports[name]}: already the port of {others[0]}")
    return ports


def _check_broker_override(env: Mapping[str, str], environment: str, faults: list[str]) -> None:
    # A URL left over in a shell must not turn a demo into orders at a real broker. Local URLs are
    # allowed: a test may put a proxy before the paper broker.
    if environment != "paper":
        return
    faults += [
        f"{name} leaves this machine, but OANDA_ENVIRONMENT is paper: unset it"
        for name in ("OANDA_API_URL", "OANDA_STREAM_URL")
        if name in env and not _is_local(env[name])
    ]


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and Address(host, 0).is_loopback
