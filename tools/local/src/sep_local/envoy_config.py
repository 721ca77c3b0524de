"""``sep-stack envoy-config``: writes Envoy's configuration for containers."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sep_edge.address import Address
from sep_edge.console import copy_console
from sep_edge.envoy.config import render
from sep_edge.envoy.settings import EdgeSettings
from sep_edge.openapi.write import write_pages
from sep_protos import DESCRIPTOR_SET

from sep_local.errors import StackError
from sep_local.settings import LOOPBACK, read_settings

_INNER_HOSTS = (
    *("envoy", "sep", "sep-envoy"),
    *("envoy.sep", "envoy.sep.svc", "envoy.sep.svc.cluster.local"),
)
"""Names of Envoy inside the containers' network, for Prometheus and probes. None is a public name
that a web page could have."""


def write_envoy_config(out: Path, env: Mapping[str, str], console: Path | None = None) -> None:
    """Write the configuration, and beside it the descriptor set, the pages and the console.

    Args:
        console: folder of the built console.

    Raises:
        StackError: the settings have faults, or the files can't be written.
    """
    settings = read_settings(env)
    services = _service_addresses(
        {
            "gateway": settings.gateway,
            "evaluator": settings.evaluator,
            "allocator": settings.allocator,
            "guard": settings.guard,
            "journal": settings.journal,
        },
        env,
    )
    out = out.absolute()
    edge = EdgeSettings(
        listen=settings.http,
        transcoding="@sep-transcoding",
        gateway=services["gateway"],
        evaluator=services["evaluator"],
        allocator=services["allocator"],
        guard=services["guard"],
        journal=services["journal"],
        descriptor_set=out.with_name("contract.binpb"),
        tls=settings.edge_tls,
        grpc_tls=settings.grpc_tls,
        # Only processes of Envoy's own container reach it.
        operator=Address(LOOPBACK, settings.http.port + 1),
        admin=settings.envoy_admin,
        pages=out.parent,
        cors_origins=settings.cors_origins,
        cache=settings.edge_cache,
        logged_reads=settings.edge_logged_reads,
        allowed_hosts=(*_INNER_HOSTS, *settings.allowed_hosts),
        read_limit=settings.edge_read_limit,
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DESCRIPTOR_SET, edge.descriptor_set)
        write_pages(out.parent)
        copied = copy_console(console, out.with_name("console"))
        out.write_text(render(replace(edge, console=copied)))
    except OSError as error:
        raise StackError(f"can't write {out}: {error.strerror}") from error
    print(f"wrote {out}, {edge.descriptor_set} and the API's pages beside them")


def _service_addresses(
    defaults: Mapping[str, Address], env: Mapping[str, str]
) -> dict[str, Address]:
    """The services' addresses from ``GATEWAY_ADDR`` and its like."""
    found, faults = {}, []
    for name, default in defaults.items():
        variable = f"{name.upper()}_ADDR"
        try:
            found[name] = Address.parse(env.get(variable, str(default)))
        except ValueError as error:
            faults.append(f"{variable}: {error}")
    if faults:
        raise StackError("the settings have faults:", faults)
    return found
