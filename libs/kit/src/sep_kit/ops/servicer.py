"""OpsService: health, status, metrics and settings of the whole stack, from every service."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.api import httpbody_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_fx.granularity import Granularity

from sep_kit import __version__
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import NotServingError, SepError, StoreUnavailableError
from sep_kit.grpc.client import call, open_channel
from sep_kit.grpc.keys import KeyFileFault
from sep_kit.logging import get_logger
from sep_kit.ops.exposition import merge_expositions
from sep_kit.ops.replicas import Replicas, Resolve, addresses_of
from sep_kit.ops.settings import merge_settings, own_settings
from sep_kit.ops.status import Limits, StatusReader, StoredStatus, unknown_status
from sep_kit.settings.in_force import SettingInForce
from sep_kit.settings.shared.safety import SafetyKnobs
from sep_kit.store.connection import Valkey
from sep_kit.store.kill_switch import KillSwitch

_log = get_logger("Ops")
_PROBE_S = 1.5
_OBSERVERS = frozenset({"journal"})
"""Services that no other one waits for: shown, and never a reason to be unhealthy."""


@dataclass(frozen=True, slots=True)
class StackView:
    """Configuration of the stack that OpsService reports on; ``peers`` are addresses by service."""

    service: str
    peers: Mapping[str, str]
    instruments: tuple[str, ...]
    granularity: Granularity
    limits: Limits
    safety: SafetyKnobs


class OpsServicer(ops_pb2_grpc.OpsServiceServicer):
    """Reports on the whole stack by asking all services and the store."""

    def __init__(
        self,
        view: StackView,
        store: Valkey,
        registry: CollectorRegistry,
        clock: Clock,
        connect: Callable[[str], grpc.aio.Channel] = open_channel,
        is_writer: Callable[[], bool] = lambda: False,
        resolve: Resolve = addresses_of,
        key_file_faults: Callable[[], Sequence[KeyFileFault]] = tuple,
        settings: Sequence[SettingInForce] = (),
    ) -> None:
        self._settings = own_settings(view.service, settings)
        self._key_file_faults = key_file_faults
        self._view = view
        self._registry = registry
        self._clock = clock
        self._status = StatusReader(store, clock)
        self._kill_switch = KillSwitch(store)
        self._is_writer = is_writer
        self._channels = {name: connect(address) for name, address in view.peers.items()}
        self._replicas = {
            name: Replicas(address, connect, resolve) for name, address in view.peers.items()
        }

    async def close(self) -> None:
        """Close the channels to the other services."""
        for channel in self._channels.values():
            await channel.close(None)
        for replicas in self._replicas.values():
            await replicas.close()

    async def GetHealth(
        self,
        request: ops_pb2.GetHealthRequest,
        context: grpc.aio.ServicerContext[ops_pb2.GetHealthRequest, ops_pb2.GetHealthResponse],
    ) -> ops_pb2.GetHealthResponse:
        """The state of every part; an error if one that trading needs is not serving."""
        states = await self._parts()
        down = [
            n for n, s in states.items() if s != ops_pb2.PART_STATE_SERVING and n not in _OBSERVERS
        ]
        response = ops_pb2.GetHealthResponse(
            healthy=not down,
            parts=[ops_pb2.PartHealth(name=n, state=s) for n, s in states.items()],
        )
        if down:
            names = {n: ops_pb2.PartState.Name(s) for n, s in states.items()}
            error = NotServingError(f"not serving: {', '.join(down)}", **names)
            error.details = (response,)
            raise error
        return response

    async def GetStatus(
        self,
        request: ops_pb2.GetStatusRequest,
        context: grpc.aio.ServicerContext[ops_pb2.GetStatusRequest, ops_pb2.GetStatusResponse],
    ) -> ops_pb2.GetStatusResponse:
        """The stack at a glance; answers even while parts of it can't be read."""
        view = self._view
        parts, stored, engaged = await asyncio.gather(
            self._parts(), self._stored(), self._engaged()
        )
        link = stored.link
        response = ops_pb2.GetStatusResponse(
            version=__version__,
            ts_ms=now_ms(self._clock),
            modes=ops_pb2.Modes(
                environment=view.safety.oanda_environment,
                live_trading_enabled=view.safety.live_trading_enabled,
                read_only=view.safety.read_only,
                kill_switch=engaged,
            ),
            broker=ops_pb2.BrokerLink(
                connected=link is not None and link.connected,
                last_contact_ms=link.last_contact_ms if link else None,
                error=link.error if link else stored.no_link,
                left_out=link.left_out if link else (),
                unsupported_kinds=link.unsupported_kinds if link else (),
                clock_skew_seconds=link.clock_skew_s if link else None,
            ),
            leases=[
                ops_pb2.Lease(
                    name=lease.name,
                    holder=lease.holder,
                    fencing_token=lease.token,
                    expires_in_seconds=lease.expires_in_s,
                )
                for lease in stored.leases
            ],
            parts=[ops_pb2.PartHealth(name=n, state=s) for n, s in parts.items()],
        )
        for fault in self._key_file_faults():
            response.key_file_faults.add(file=fault.file, reason=fault.reason)
        for age in stored.ages:
            response.freshness.add(
                name=age.name,
                age_seconds=age.age_s,
                max_age_seconds=age.max_age_s,
                verdict=age.verdict,
            )
        return response

    async def GetMetrics(
        self,
        request: ops_pb2.GetMetricsRequest,
        context: grpc.aio.ServicerContext[ops_pb2.GetMetricsRequest, ops_pb2.GetMetricsResponse],
    ) -> ops_pb2.GetMetricsResponse:
        """The metrics of all services as one exposition, without services that don't answer."""
        answers = await self._of_every_service("ScrapeMetrics", ops_pb2.ScrapeMetricsRequest())
        found = {n: a.exposition for n, a in answers.items() if not isinstance(a, SepError)}
        return ops_pb2.GetMetricsResponse(
            exposition=httpbody_pb2.HttpBody(
                content_type=CONTENT_TYPE_LATEST, data=merge_expositions(found).encode()
            )
        )

    async def ScrapeMetrics(
        self,
        request: ops_pb2.ScrapeMetricsRequest,
        context: grpc.aio.ServicerContext[
            ops_pb2.ScrapeMetricsRequest, ops_pb2.ScrapeMetricsResponse
        ],
    ) -> ops_pb2.ScrapeMetricsResponse:
        """This service's own metrics."""
        return ops_pb2.ScrapeMetricsResponse(
            service=self._view.service,
            exposition=generate_latest(self._registry).decode(),
            writer=self._is_writer(),
        )

    async def GetSettings(
        self,
        request: ops_pb2.GetSettingsRequest,
        context: grpc.aio.ServicerContext[ops_pb2.GetSettingsRequest, ops_pb2.GetSettingsResponse],
    ) -> ops_pb2.GetSettingsResponse:
        """The settings of all services; those that don't answer are named."""
        answers = await self._of_every_service("GetOwnSettings", ops_pb2.GetOwnSettingsRequest())
        found = {n: a.settings for n, a in answers.items() if not isinstance(a, SepError)}
        response = ops_pb2.GetSettingsResponse(settings=merge_settings(found))
        for name, answer in answers.items():
            if isinstance(answer, SepError):
                response.missing.add(service=name, reason=answer.reason)
        return response

    async def GetOwnSettings(
        self,
        request: ops_pb2.GetOwnSettingsRequest,
        context: grpc.aio.ServicerContext[
            ops_pb2.GetOwnSettingsRequest, ops_pb2.GetOwnSettingsResponse
        ],
    ) -> ops_pb2.GetOwnSettingsResponse:
        """This service's own settings."""
        return ops_pb2.GetOwnSettingsResponse(settings=self._settings, writer=self._is_writer())

    async def _parts(self) -> dict[str, ops_pb2.PartState.ValueType]:
        states = await asyncio.gather(
            *(self._state_of(channel) for channel in self._channels.values()), self._store_state()
        )
        return dict(zip([*self._channels, "valkey"], states, strict=True))

    async def _engaged(self) -> bool:
        try:
            async with asyncio.timeout(_PROBE_S):
                return (await self._kill_switch.read()).engaged
        except TimeoutError:
            return True

    async def _stored(self) -> StoredStatus:
        view = self._view
        try:
            async with asyncio.timeout(_PROBE_S):
                return await self._status.stored(
                    view.instruments, view.granularity, view.limits, leases=tuple(view.peers)
                )
        except (StoreUnavailableError, TimeoutError):
            return unknown_status(view.instruments, view.limits)

    async def _state_of(self, channel: grpc.aio.Channel) -> ops_pb2.PartState.ValueType:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            response = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_PROBE_S)
        except grpc.aio.AioRpcError:
            return ops_pb2.PART_STATE_UNREACHABLE
        if response.status == health_pb2.HealthCheckResponse.SERVING:
            return ops_pb2.PART_STATE_SERVING
        return ops_pb2.PART_STATE_NOT_SERVING

    async def _store_state(self) -> ops_pb2.PartState.ValueType:
        try:
            async with asyncio.timeout(_PROBE_S):
                await self._status.ping()
        except (StoreUnavailableError, TimeoutError):
            return ops_pb2.PART_STATE_UNREACHABLE
        return ops_pb2.PART_STATE_SERVING

    async def _of_every_service(self, method: str, request: Any) -> dict[str, Any]:
        """By service, the answer of the replica with the lease, else of any; else an error."""
        answers = await asyncio.gather(
            *(self._of_service(n, r, method, request) for n, r in self._replicas.items())
        )
        return dict(zip(self._replicas, answers, strict=True))

    async def _of_service(self, name: str, replicas: Replicas, method: str, request: Any) -> Any:
        channels = await replicas.channels()
        answers = await asyncio.gather(*(_ask(name, c, method, request) for c in channels))
        found = [answer for answer in answers if not isinstance(answer, SepError)]
        # A stable sort: without a lease holder it is always the same replica.
        found.sort(key=lambda answer: not answer.writer)
        return found[0] if found else answers[0]


async def _ask(name: str, channel: grpc.aio.Channel, method: str, request: Any) -> Any:
    """The answer of one replica, or the error."""
    stub = ops_pb2_grpc.OpsServiceStub(channel)
    try:
        return await call(getattr(stub, method), request, peer=name, deadline_s=_PROBE_S)
    except SepError as error:
        _log.warning("left out", method=method, service=name, error=str(error))
        return error
