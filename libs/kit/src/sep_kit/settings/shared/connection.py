"""Addresses of the services and the store, and logging."""

from pydantic import Field

from sep_kit.logging import LogFormat
from sep_kit.settings.fields import Address, Knobs


class ConnectionKnobs(Knobs):
    """Addresses and logging."""

    valkey_url: str = Field("redis://127.0.0.1:16379/0", pattern=r"^(redis|rediss|valkey|unix)://")
    """URL of Valkey."""
    gateway_addr: Address = "127.0.0.1:15051"
    """Address of the gateway."""
    evaluator_addr: Address = "127.0.0.1:15052"
    """Address of the evaluator."""
    allocator_addr: Address = "127.0.0.1:15053"
    """Address of the allocator."""
    guard_addr: Address = "127.0.0.1:15054"
    """Address of the guard."""
    journal_addr: Address = "127.0.0.1:15055"
    """Address of the journal."""
    grpc_listen: Address | None = None
    """Address that this service listens on; its own address above when unset."""
    log_format: LogFormat = LogFormat.JSON
    """`json`: one JSON object per line. `console`: text for a terminal."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Lowest level that is logged: DEBUG, INFO, WARNING or ERROR."""

    def peers(self) -> dict[str, str]:
        """Address of each service by name."""
        return {
            "gateway": self.gateway_addr,
            "evaluator": self.evaluator_addr,
            "allocator": self.allocator_addr,
            "guard": self.guard_addr,
            "journal": self.journal_addr,
        }
