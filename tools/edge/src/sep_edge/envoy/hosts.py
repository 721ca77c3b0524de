"""Host names under which the public port answers.

A web page can point a name of its own at this machine (DNS rebinding). Its requests carry that
name, so a request with a name that is not listed is refused before anything else is looked at.
"""

import ipaddress
import re
from collections.abc import Sequence

from sep_edge.address import Address
from sep_edge.envoy.filters import Json

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ANY_HOST = "*"

_HOST = re.compile(r"[A-Za-z0-9_.\-]+|\[[0-9A-Fa-f:.]+\]")
_ANY_IP = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\]"


def is_host(text: str) -> bool:
    """Whether this can stand in ALLOWED_HOSTS: a name or address without a port, or ``*``."""
    return text == ANY_HOST or bool(_HOST.fullmatch(text))


def host_pattern(listen: Address, allowed: Sequence[str]) -> str:
    """A regular expression of the allowed values of the Host header.

    Args:
        allowed: further hosts, beside the loopback names and the bind address. Where Envoy binds
            all addresses, every IP address is allowed: a page can't be rebound to one.
    """
    if ANY_HOST in allowed:
        return ".*"
    hosts = [*LOOPBACK_HOSTS, *allowed]
    found = []
    if listen.is_ip and ipaddress.ip_address(listen.host).is_unspecified:
        found.append(_ANY_IP)
    else:
        hosts.append(f"[{listen.host}]" if ":" in listen.host else listen.host)
    found += [re.escape(host) for host in dict.fromkeys(hosts)]
    return f"(?i)(?:{'|'.join(found)})(?::[0-9]{{1,5}})?"


def other_hosts(listen: Address, allowed: Sequence[str]) -> Json:
    """A matcher of every request whose host is not allowed."""
    return {
        "name": ":authority",
        "string_match": {"safe_regex": {"regex": host_pattern(listen, allowed)}},
        "treat_missing_header_as_empty": True,
        "invert_match": True,
    }
