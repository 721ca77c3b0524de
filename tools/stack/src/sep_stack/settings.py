"""The supervisor's own settings: ports, run directory, and which broker."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sep_stack.address import Address
from sep_stack.faults import StackError

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
}
"""In the order in which ``--port-base`` deals them out; 0 means off."""

ENVIRONMENTS = ("paper", "practice", "live")
OWN_NAMES = frozenset({*DEFAULT_PORTS, "HTTP_BIND", "SEP_RUN_DIR"})
"""Read here, and of no use to a service."""

_PORT_RANGE = range(1, 65_536)


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Where everything listens and keeps its state."""

    environment: str
    run_dir: Path
    http: Address
    valkey: Address
    paper: Address
    gateway: Address
    evaluator: Address
    allocator: Address
    guard: Address
    envoy_admin: Address | None

    @property
    def paper_trading(self) -> bool:
        """Whether the stack brings its own broker."""
        return self.environment == "paper"

    @property
    def url(self) -> str:
        """Where this machine reaches the stack."""
        host = LOOPBACK if self.http.host in {"0.0.0.0", "::"} else self.http.host
        return f"http://{Address(host, self.http.port)}"

    def listeners(self) -> dict[str, Address]:
        """Every address that a part will listen on, by the setting that moves it."""
        listeners = {
            "HTTP_PORT": self.http,
            "VALKEY_PORT": self.valkey,
            "PAPER_PORT": self.paper,
            "GATEWAY_PORT": self.gateway,
            "EVALUATOR_PORT": self.evaluator,
            "ALLOCATOR_PORT": self.allocator,
            "GUARD_PORT": self.guard,
        }
        if not self.paper_trading:
            del listeners["PAPER_PORT"]
        if self.envoy_admin:
            listeners["ENVOY_ADMIN_PORT"] = self.envoy_admin
        return listeners


def read_settings(env: Mapping[str, str], port_base: int | None = None) -> StackSettings:
    """The settings in an environment; ``port_base`` moves all ports at once.

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
    if faults:
        raise StackError("the settings have faults:", faults)
    admin_port = ports["ENVOY_ADMIN_PORT"]
    return StackSettings(
        environment=environment,
        run_dir=Path(env.get("SEP_RUN_DIR") or ".run").absolute(),
        http=http,
        valkey=Address(LOOPBACK, ports["VALKEY_PORT"]),
        paper=Address(LOOPBACK, ports["PAPER_PORT"]),
        gateway=Address(LOOPBACK, ports["GATEWAY_PORT"]),
        evaluator=Address(LOOPBACK, ports["EVALUATOR_PORT"]),
        allocator=Address(LOOPBACK, ports["ALLOCATOR_PORT"]),
        guard=Address(LOOPBACK, ports["GUARD_PORT"]),
        envoy_admin=Address(LOOPBACK, admin_port) if admin_port else None,
    )


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
    # A test may put a proxy before the paper broker. A URL left over in a shell must not turn a
    # demo into orders at a real broker.
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
