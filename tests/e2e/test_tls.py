"""TLS on the public port and mutual TLS between the services, in a whole stack."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
import trustme
from sep_kit.grpc.tls import DNS_NAME, TlsFiles, service_name

from tests.e2e.calls import reason
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.timeout(600)

GET_KILL_SWITCH = "/sep.guard.v1.GuardService/GetKillSwitch"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Certificate of a service, from the stack's own authority."""
    return issue(tmp_path_factory.mktemp("tls"), DNS_NAME, service_name("guard"))


def issue(folder: Path, *names: str) -> TlsFiles:
    authority = trustme.CA()
    found = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    authority.cert_pem.write_to_path(found.ca)
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(found.key)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(found.cert, append=True)
    return found


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Certificate of the public port, from another authority."""
    return issue(tmp_path_factory.mktemp("public"), "127.0.0.1")


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, files: TlsFiles, public: TlsFiles
) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("tls-stack") / "run")
    running.start(
        EDGE_TLS_CERT=str(public.cert),
        EDGE_TLS_KEY=str(public.key),
        GRPC_TLS_CERT=str(files.cert),
        GRPC_TLS_KEY=str(files.key),
        GRPC_TLS_CA=str(files.ca),
        API_READS="key",
    )
    running.url = running.url.replace("http://", "https://")
    yield running
    running.stop()


def trusting(public: TlsFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(public.ca))


def test_the_public_port_accepts_only_tls(secure: Stack, public: TlsFiles) -> None:
    response = httpx.get(f"{secure.url}/health", verify=trusting(public), timeout=30)
    assert {p["name"] for p in parts(response)} >= {"gateway", "guard", "valkey"}
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secure.url}/health", timeout=30)  # an unknown authority
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secure.url.replace('https', 'http')}/health", timeout=30)


def parts(health: httpx.Response) -> list[dict[str, str]]:
    """The parts in a healthy or an unhealthy response of /health."""
    body = health.json()
    found: list[dict[str, str]] = body["parts"] if "parts" in body else body["details"][1]["parts"]
    return found


def test_reading_needs_a_key_under_api_reads_key(secure: Stack, public: TlsFiles) -> None:
    url = f"{secure.url}/api/ranking/active"
    refused = httpx.get(url, verify=trusting(public), timeout=30)
    assert (refused.status_code, reason(refused)) == (401, "MISSING_KEY")
    response = httpx.get(url, headers=secure.key("write"), verify=trusting(public), timeout=30)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"


def test_the_probe_presents_its_certificate(secure: Stack, files: TlsFiles) -> None:
    command = [sys.executable, "-m", "sep_kit.grpc.probe", f"127.0.0.1:{secure.port + 6}"]
    named = {"GRPC_TLS_CERT": files.cert, "GRPC_TLS_KEY": files.key, "GRPC_TLS_CA": files.ca}
    env = {**os.environ, **{name: str(path) for name, path in named.items()}}
    assert subprocess.run(command, env=env, check=False, timeout=30).returncode == 0
    assert subprocess.run(command, check=False, timeout=30).returncode == 1


async def test_native_grpc_uses_tls_too(secure: Stack, public: TlsFiles) -> None:
    credentials = grpc.ssl_channel_credentials(public.ca.read_bytes())
    metadata = tuple((k.lower(), v) for k, v in secure.key("write").items())
    async with grpc.aio.secure_channel(f"127.0.0.1:{secure.port}", credentials) as channel:
        call = channel.unary_unary(GET_KILL_SWITCH, None, None)
        assert await call(b"", metadata=metadata, timeout=30)


async def test_a_service_refuses_clients_without_a_certificate_of_the_stack(
    secure: Stack, files: TlsFiles, public: TlsFiles
) -> None:
    guard = f"127.0.0.1:{secure.port + 6}"
    named = (("grpc.ssl_target_name_override", DNS_NAME),)
    without = grpc.ssl_channel_credentials(files.ca.read_bytes())
    foreign = TlsFiles(public.cert, public.key, files.ca).client()
    for channel in (
        grpc.aio.insecure_channel(guard),
        grpc.aio.secure_channel(guard, without, options=named),
        grpc.aio.secure_channel(guard, foreign, options=named),
    ):
        async with channel:
            call = channel.unary_unary(GET_KILL_SWITCH, None, None)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"", timeout=3)
            assert caught.value.code() in {
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            }
    metadata = tuple((k.lower(), v) for k, v in secure.key("write").items())
    async with grpc.aio.secure_channel(guard, files.client(), options=named) as channel:
        call = channel.unary_unary(GET_KILL_SWITCH, None, None)
        assert await call(b"", metadata=metadata, timeout=30)
