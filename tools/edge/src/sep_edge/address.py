"""A host and a port."""

import ipaddress
from dataclasses import dataclass
from typing import Self

_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP address) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``; an IPv6 host stands in brackets.

        Raises:
            ValueError: the text has no host, or no port between 1 and 65535.
        """
        host, separator, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (separator and host and port.isdecimal() and 1 <= int(port) <= _MAX_PORT):
            raise ValueError(f"{text!r} is not host:port")
        return cls(host, int(port))

    @property
    def is_ip(self) -> bool:
        """Whether the host is an IP address rather than a name."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.is_ip:
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
