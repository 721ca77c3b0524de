"""Wiring: builds the broker from its settings and serves it."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from sep_fx.bars import Bars
from sep_fx.candle_csv import candle_files, read_candle_file
from sep_fx.instants import NS_PER_SECOND
from starlette.types import ASGIApp

from sep_paper_broker.account.account import Account
from sep_paper_broker.account.book import AccountProfile
from sep_paper_broker.account.snapshot import restore
from sep_paper_broker.account_faults import AccountFaults
from sep_paper_broker.adapters.state_file import (
    BrokerState,
    MarketOrigin,
    StateFile,
    UnusableStateError,
)
from sep_paper_broker.broker import Broker, Clock, Progress, discard_state
from sep_paper_broker.faults.registry import FaultRegistry
from sep_paper_broker.http.application import build_admin_application, build_application
from sep_paper_broker.http.connections import Connections
from sep_paper_broker.market.instruments import INSTRUMENTS
from sep_paper_broker.market.market import Market
from sep_paper_broker.market.opening_hours import OpeningHours
from sep_paper_broker.market.recorded import RecordedMarket, anchor_for
from sep_paper_broker.market.synthetic import SyntheticMarket
from sep_paper_broker.settings import Settings

_log = logging.getLogger(__name__)

# How long open requests may run after shutdown begins.
_GRACE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that is serving.

    ``url`` has no path: requests go to ``url + "/v3/..."``. ``faults`` and ``broker`` are for
    tests in the same process.
    """

    url: str
    admin_url: str
    settings: Settings
    broker: Broker
    faults: FaultRegistry


@contextlib.asynccontextmanager
async def serve_paper_broker(settings: Settings, *, clock: Clock) -> AsyncIterator[RunningBroker]:
    """Serve a paper broker while the block runs; port 0 picks a free one.

    Raises:
        OSError: a port is in use, or a file can't be read.
        UnusableStateError: the state file can't be used.
        ValueError: the recorded candles can't be used.
    """
    faults, connections = FaultRegistry(), Connections()
    broker = build_broker(settings, clock, faults)
    application = build_application(broker, settings, faults, connections)
    broker.advance()
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            _serve_application(application, settings.host, settings.port, connections)
        )
        url = f"http://{_in_url(settings.host)}:{port}"
        admin_url = url
        if settings.admin and settings.admin_port is not None:
            own = Connections()
            admin = build_admin_application(broker, settings, faults, own)
            admin_port = await stack.enter_async_context(
                _serve_application(admin, "127.0.0.1", settings.admin_port, own)
            )
            admin_url = f"http://127.0.0.1:{admin_port}"
        stack.enter_context(_advancing(broker, settings.poll_seconds))
        try:
            yield RunningBroker(url, admin_url, settings, broker, faults)
        finally:
            # Ends the streams first; the server would wait for them.
            broker.close()


def build_broker(settings: Settings, clock: Clock, faults: FaultRegistry) -> Broker:
    """A broker with its market and account; the account is loaded from the state file, or new."""
    file = StateFile(settings.state) if settings.state is not None else None
    state = file.load() if file is not None else None
    now = clock()
    origin = MarketOrigin(seed=settings.seed, anchor_s=anchor_for(now // NS_PER_SECOND))
    if state is not None:
        _check_same(settings, state)
        origin = state.origin
        account = restore(state.account, INSTRUMENTS)
    else:
        profile = AccountProfile(
            settings.account,
            settings.home_currency,
            now,
            hedging_enabled=settings.hedging,
            mt4_account_id=settings.mt4_account,
        )
        account = Account.open(profile, INSTRUMENTS, settings.balance)

    def save(changed: Account, progress: Progress) -> None:
        if file is not None:
            file.save(changed, origin, progress.processed_ns)

    market = build_market(settings, origin.anchor_s)
    processed = state.processed_ns if state is not None else now
    return Broker(
        account=account,
        market=market,
        clock=clock,
        processed_ns=processed,
        save=save if file is not None else discard_state,
        account_faults=AccountFaults(faults),
    )


def _check_same(settings: Settings, state: BrokerState) -> None:
    """Refuse a state of another account or market: its trades would mean nothing here."""
    stored = state.account.profile
    pairs = (
        ("account", settings.account, stored.id),
        ("seed", settings.seed, state.origin.seed),
        ("hedging", settings.hedging, stored.hedging_enabled),
        ("MT4 account", settings.mt4_account, stored.mt4_account_id),
        ("home currency", settings.home_currency, stored.home_currency),
    )
    for name, wanted, found in pairs:
        if wanted != found:
            raise UnusableStateError(
                f"{settings.state} was made with {name} {found}, not {wanted}: "
                "change the setting or use another state file"
            )


def build_market(settings: Settings, anchor_s: int) -> Market:
    """The synthetic market; before ``anchor_s`` (seconds), recorded candles where configured."""
    synthetic = SyntheticMarket(settings.seed, OpeningHours(settings.calendar))
    if settings.candles_dir is None:
        return synthetic
    return RecordedMarket(synthetic, read_recordings(settings.candles_dir), anchor_s)


def read_recordings(directory: Path) -> Mapping[str, Bars]:
    """The M1 bars of a directory by instrument; files of one instrument are joined in time order.

    Raises:
        FileNotFoundError: the directory holds no candle file.
        MalformedCandleError: a file is malformed.
        ValueError: files of one instrument overlap, or are not M1.
    """
    recordings: dict[str, Bars] = {}
    for instrument, paths in candle_files(directory).items():
        parts = sorted(
            (read_candle_file(path).bars for path in paths),
            key=lambda bars: int(bars.time[0]) if len(bars) else 0,
        )
        bars = Bars.concatenate(parts)
        if any(bars.time[1:] <= bars.time[:-1]):
            raise ValueError(f"the candle files of {instrument} overlap")
        recordings[instrument] = bars
    return recordings


@contextlib.asynccontextmanager
async def _serve_application(
    application: ASGIApp, host: str, port: int, connections: Connections
) -> AsyncIterator[int]:
    """Serve an application; yields the bound port."""
    listener = _listen(host, port)
    config = uvicorn.Config(
        application,
        http=connections.protocol(),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.stop()
        await task
        listener.close()


@contextlib.contextmanager
def _advancing(broker: Broker, every_seconds: float) -> Iterator[None]:
    """Advance the account in the background, so that stops fill without a request."""

    async def advance_until_closed() -> None:
        failing = False
        while not broker.closed:
            try:
                broker.advance()
            except OSError as error:
                if not failing:
                    _log.error("state not saved, retrying: %s", error)
                failing = True
            else:
                if failing:
                    _log.warning("state saved again")
                failing = False
            await broker.pause(every_seconds)

    task = asyncio.create_task(advance_until_closed())
    try:
        yield
    finally:
        task.cancel()


def _listen(host: str, port: int) -> socket.socket:
    """Bind before serving, so that the port is known and a port in use fails the start."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The event loop disables Nagle's algorithm only when the protocol is named. With it enabled,
    # every response waits 40 ms for the acknowledgement of its own headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"can't listen on {host}:{port}: {error.strerror}") from None
    return listener


def _in_url(host: str) -> str:
    """The host as it appears in URLs of local clients."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its caller and stops without delay."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Stop accepting requests and end the main loop."""
        self.should_exit = True
        self._stopped.set()

    async def main_loop(self) -> None:
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
