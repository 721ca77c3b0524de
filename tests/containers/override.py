"""The tests' override of compose.yaml: network and intervals of the health checks.

Every container joins the network namespace of one container, which has a loopback device only.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.containers.images import BASE

HOLDER = "sep-network"
# Envoy's resolver treats names of 127.0.0.1 as aliases of localhost and prefers ::1 for them.
_ADDRESS = "127.0.0.2"
# Engines before 25 ignore start_interval, so the first probe comes after a whole interval. On a
# busy machine a probe may take long to start.
_PROBE = {"interval": "4s", "timeout": "10s"}


class _Reset:
    """``!reset []``: compose drops the value of the file before."""


class _Dumper(yaml.SafeDumper):
    """YAML with ``!reset``."""


_Dumper.add_representer(_Reset, lambda dumper, _: dumper.represent_sequence("!reset", []))


def write_override(compose: Path, override: Path) -> None:
    """Write the override for all services of a compose file."""
    shipped: dict[str, Any] = yaml.safe_load(compose.read_text())["services"]
    services: dict[str, object] = {
        HOLDER: {
            "image": BASE,
            "container_name": HOLDER,
            "network_mode": "none",
            "init": True,
            "command": ["sleep", "infinity"],
            "extra_hosts": dict.fromkeys(shipped, _ADDRESS),
        }
    }
    for name, service in shipped.items():
        changes: dict[str, object] = {
            "network_mode": f"service:{HOLDER}",
            "networks": _Reset(),
            "ports": _Reset(),
            "expose": _Reset(),
        }
        if "healthcheck" in service:
            changes["healthcheck"] = _PROBE
        services[name] = changes
    override.write_text(yaml.dump({"services": services}, Dumper=_Dumper, sort_keys=False))
