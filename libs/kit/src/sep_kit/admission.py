"""Who may call a service and how often, from its settings."""

import time

from prometheus_client import CollectorRegistry, Gauge

from sep_kit.grpc.access import AccessPolicy
from sep_kit.grpc.keys import KeyRing
from sep_kit.grpc.limits import CallLimits
from sep_kit.settings.shared.access import AccessKnobs, ApiAccess, TlsKnobs


def open_key_ring(service: str, settings: AccessKnobs, registry: CollectorRegistry) -> KeyRing:
    """The keys, and a metric of files that are not used as keys."""
    keys = KeyRing(settings.api_keys_dir, time.monotonic, service)
    faults = Gauge(
        "sep_api_key_file_faults",
        "Files in the folder of API keys that are not used",
        ["service"],
        registry=registry,
    )
    faults.labels(service).set_function(lambda: len(keys.faults()))
    return keys


def access_policy(settings: AccessKnobs, keys: KeyRing) -> AccessPolicy:
    """The rules of access: keys, open reads and writes, certificates."""
    return AccessPolicy(
        keys,
        settings.api_reads,
        open_writes=settings.api_access is ApiAccess.OPEN,
        certificates=isinstance(settings, TlsKnobs) and settings.tls() is not None,
    )


def call_limits(settings: AccessKnobs) -> CallLimits:
    """The limits on one client's writes, failed calls and streams."""
    return CallLimits(settings.edge_write_limit, settings.edge_stream_limit, time.monotonic)
