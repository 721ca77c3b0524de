"""Command line of the paper broker: serves until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import signal
import sys
import time

from sep_paper_broker.adapters.state_file import UnusableStateError
from sep_paper_broker.app import serve_paper_broker
from sep_paper_broker.settings import Settings, SettingsError, read_settings

_EPILOG = """\
Every option can also come from the environment: PAPER_HOST, PAPER_PORT, PAPER_ADMIN,
PAPER_ADMIN_PORT, PAPER_SEED, PAPER_STATE, PAPER_BALANCE, PAPER_CANDLES_DIR, PAPER_HEDGING,
PAPER_MT4_ACCOUNT, OANDA_ACCOUNT_ID, MARKET_CALENDAR.
The bearer token comes from OANDA_API_TOKEN alone (default: paper).
"""


def main() -> int:
    """Run the broker. Returns 2 for invalid settings and 1 for a failed start."""
    options = vars(_parser().parse_args())
    try:
        settings = read_settings(options, os.environ)
    except SettingsError as error:
        for fault in error.faults:
            print(f"sep-paper-broker: {fault}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(settings))
    except (OSError, UnusableStateError, ValueError) as error:
        print(f"sep-paper-broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve_paper_broker(settings, clock=time.time_ns) as running:
        print(f"sep-paper-broker: listening on {running.url}", flush=True)
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sep-paper-broker",
        description="An OANDA v20 simulator: the REST and streaming interface over a "
        "synthetic or recorded market and a netting margin account.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", help="port to serve on; 0 picks a free one (default: 0)")
    parser.add_argument("--host", help="address to serve on (default: 127.0.0.1)")
    parser.add_argument(
        "--admin", help="1 serves /admin/faults to loopback clients with the token (default: 0)"
    )
    parser.add_argument(
        "--admin-port", help="port of /admin/faults on loopback; without it the main port"
    )
    parser.add_argument(
        "--candles-dir",
        help="directory of recorded M1 candles, files like EUR_USD_M1_2014-05.csv.gz, played "
        "as the history before the start and continued from there",
    )
    parser.add_argument("--seed", help="seed of the synthetic market (default: 7)")
    parser.add_argument("--state", help="file that persists the account over restarts")
    parser.add_argument("--balance", help="cash of a new account (default: 100000)")
    parser.add_argument("--hedging", help="1 enables hedging: trades of both sides (default: 0)")
    parser.add_argument(
        "--mt4-account", help="MetaTrader 4 account number; replaces client extensions"
    )
    parser.add_argument("--account", help="account id (default: 101-001-0000001-001)")
    parser.add_argument(
        "--market-calendar", help="fx follows the hours of the FX week, 24x7 never closes"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
