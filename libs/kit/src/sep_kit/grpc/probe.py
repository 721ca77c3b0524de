"""``python -m sep_kit.grpc.probe [ADDRESS]``: exit 0 while the service there does its work."""

import argparse
import asyncio
import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def _probe(address: str, service: str, timeout_s: float) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout_s
            )
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def main() -> int:
    """Ask once, print the status, and say it with the exit code."""
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
    status = asyncio.run(_probe(args.address, args.service, args.timeout))
    print(status)
    return 0 if status == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main())
