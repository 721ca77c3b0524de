"""``python -m sep_kit.grpc.probe [ADDRESS]``: exit code 0 if the service there is SERVING.

Uses mutual TLS if GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA are set.
"""

import argparse
import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sep_kit.grpc.tls import DNS_NAME, TlsFiles


def _probe(address: str, service: str, timeout_s: float, tls: TlsFiles | None) -> str:
    # Not sep_kit.grpc.client: importing it takes longer than the check, which container engines
    # run every few seconds.
    direct = (("grpc.enable_http_proxy", 0),)
    if tls is None:
        channel = grpc.insecure_channel(address, options=direct)
    else:
        named = (("grpc.ssl_target_name_override", DNS_NAME),)
        channel = grpc.secure_channel(address, tls.client(), options=(*direct, *named))
    with channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_s
            )
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


def main() -> int:
    """Check once and print the status; returns the exit code."""
    parser = argparse.ArgumentParser(prog="sep-probe", description=__doc__)
    parser.add_argument(
        "address",
        nargs="?",
        default=os.environ.get("GRPC_LISTEN", "127.0.0.1:50051").replace("0.0.0.0", "127.0.0.1"),
        help="host:port; GRPC_LISTEN when not given",
    )
    parser.add_argument("--service", default="", help="service name; the whole server when empty")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS")
    args = parser.parse_args()
    names = ("GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CA")
    files = [Path(os.environ[name]) for name in names if os.environ.get(name)]
    tls = TlsFiles(*files) if len(files) == len(names) else None
    status = _probe(args.address, args.service, args.timeout, tls)
    print(status)
    return 0 if status == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main())
