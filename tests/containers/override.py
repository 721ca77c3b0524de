"""What the tests change about compose.yaml: the network, and how often health is asked for.

Every container joins the network namespace of one holder that has a loopback device only.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.containers.images import BASE

HOLDER = "sep-network"
# Envoy's resolver would take names of 127.0.0.1 for aliases of localhost, and prefer ::1.
_ADDRESS = "127.0.0.2"
# Engines before 25 know no start_interval: they would ask first after a whole interval.
# And a machine that does much else may take long to start a probe.
_PATIENCE = {"interval": "4s", "timeout": "10s"}


class _Reset:
    """``!reset []``: compose forgets what the file before said."""


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
        changed: dict[str, object] = {
            "network_mode": f"service:{HOLDER}",
            "ports": _Reset(),
            "expose": _Reset(),
        }
        if "healthcheck" in service:
            changed["healthcheck"] = _PATIENCE
        services[name] = changed
    override.write_text(yaml.dump({"services": services}, Dumper=_Dumper, sort_keys=False))
