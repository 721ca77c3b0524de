"""Puts parameters into force and takes changes back, for the API."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sep_kit.clock import Clock, now_ms
from sep_kit.errors import (
    CorruptRecordError,
    InvalidArgumentError,
    NotFoundError,
    PreconditionError,
    SepError,
    UnknownInstrumentError,
)
from sep_kit.logging import get_logger

from sep_evaluator.application.evaluation_loop import EvaluationLoop
from sep_evaluator.domain.parameter_changes import (
    Change,
    Changed,
    InForce,
    InvalidParametersError,
    NoVerdictError,
    OthersInForceError,
    Wanted,
    in_force,
    judged_by,
    promotion,
    rollback,
)
from sep_evaluator.domain.params import StrategyParams, digest_of
from sep_evaluator.ports import EvaluatorStore

_log = get_logger("ParameterChanges")
_ALL_CHANGES = 100_000


class VerdictAgainstError(PreconditionError):
    """No verdict says to promote these parameters, and no one forced the change."""

    reason = "VERDICT_AGAINST"


class ParametersChangedError(PreconditionError):
    """Other parameters are in force than the change expects."""

    reason = "PARAMETERS_CHANGED"


class UnknownChangeError(NotFoundError):
    """No change has this id."""

    reason = "UNKNOWN_CHANGE"


class ParameterChanges:
    """The parameters in force and their changes.

    Args:
        new_id: makes the id of a change.
    """

    def __init__(
        self,
        instruments: Sequence[str],
        store: EvaluatorStore,
        evaluation: EvaluationLoop,
        new_id: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._instruments = tuple(sorted(instruments))
        self._store = store
        self._evaluation = evaluation
        self._new_id = new_id
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def in_force(self, instruments: Sequence[str] | None = None) -> list[InForce]:
        """The parameters of instruments in their order; of all by name when None.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        names = self._instruments if instruments is None else instruments
        found = await self._store.load_params(names)
        origins = await self._store.parameter_origins()
        return [_in_force(i, found[i], origins.get(i)) for i in names]

    async def history(self, instrument: str | None, limit: int) -> list[Change]:
        """Changes, the newest first.

        Raises:
            UnknownInstrumentError: the instrument is not one of the stack's.
            StoreUnavailableError: Valkey does not answer.
        """
        if instrument is not None:
            self._known(instrument)
        return await self._store.parameter_changes(limit, instrument)

    async def promote(
        self,
        wanted: Sequence[Wanted],
        *,
        run: str,
        reason: str,
        forced_by: str,
        actor: str,
        dry_run: bool,
    ) -> Change:
        """Put parameters into force, for all instruments or for none, and evaluate at once.

        Raises:
            UnknownInstrumentError: an instrument is not one of the stack's.
            InvalidArgumentError: a parameter is unknown or out of range, or no reason was given.
            VerdictAgainstError: there is no verdict to promote, and it is not forced.
            ParametersChangedError: others are in force than expected.
            NotTheWriterError: another replica holds the lease; nothing was changed.
            StoreUnavailableError: Valkey does not answer.
        """
        for w in wanted:
            self._known(w.instrument)

        async def changed() -> tuple[Changed, ...]:
            return promotion(wanted, await self._current([w.instrument for w in wanted]), forced_by)

        draft = replace(self._draft(reason, actor), run=run, forced_by=forced_by.strip())
        return await self._change(changed, draft, dry_run=dry_run)

    async def roll_back(self, change_id: str, *, reason: str, actor: str, dry_run: bool) -> Change:
        """Take a change back, for all of its instruments or for none, and evaluate at once.

        Raises:
            UnknownChangeError: no change has this id.
            ParametersChangedError: a later change is in force.
            InvalidArgumentError, NotTheWriterError, StoreUnavailableError: as ``promote``.
        """
        found = await self._store.parameter_changes(_ALL_CHANGES, None)
        change = next((c for c in found if c.id == change_id), None)
        if change is None:
            raise UnknownChangeError(f"no change has the id {change_id}")

        async def changed() -> tuple[Changed, ...]:
            current = await self._current([c.instrument for c in change.changed])
            return rollback(change, current)

        earlier = found[found.index(change) + 1 :]
        draft = replace(
            self._draft(reason, actor), rolls_back=change.id, run=judged_by(earlier, change)
        )
        return await self._change(changed, draft, dry_run=dry_run)

    async def _change(
        self,
        plan: Callable[[], Awaitable[tuple[Changed, ...]]],
        draft: Change,
        *,
        dry_run: bool,
    ) -> Change:
        if not draft.reason.strip():
            raise InvalidArgumentError("reason: must say why the parameters change")
        async with self._one_at_a_time:
            try:
                change = replace(draft, changed=await plan())
            except InvalidParametersError as error:
                raise InvalidArgumentError(str(error)) from None
            except NoVerdictError as error:
                raise VerdictAgainstError(str(error)) from None
            except OthersInForceError as error:
                raise ParametersChangedError(str(error)) from None
            if dry_run:
                return change
            await self._store.save_parameter_change(change)
        for c in change.changed:
            _log.warning(
                "parameters changed",
                instrument=c.instrument,
                digest=digest_of(c.after),
                change=change.id,
                run=change.run,
                actor=change.actor,
                reason=change.reason,
                forced_by=change.forced_by,
            )
        await self._close_gates()
        return change

    async def _close_gates(self) -> None:
        """Evaluate at once, so that no gate stays open on what was judged before."""
        try:
            await self._evaluation.evaluate_now()
        except SepError as error:
            # The change is in force: the next evaluation closes the gates.
            _log.error("no evaluation after a change of parameters", error=error.message)

    async def _current(self, instruments: Sequence[str]) -> dict[str, StrategyParams | None]:
        found = await self._store.load_params(instruments)
        return {i: None if isinstance(p, CorruptRecordError) else p for i, p in found.items()}

    def _draft(self, reason: str, actor: str) -> Change:
        return Change(
            id=self._new_id(), ts_ms=now_ms(self._clock), actor=actor, reason=reason, changed=()
        )

    def _known(self, instrument: str) -> None:
        if instrument not in self._instruments:
            raise UnknownInstrumentError(instrument, self._instruments)


def _in_force(
    instrument: str, params: StrategyParams | CorruptRecordError, origin: Change | None
) -> InForce:
    if isinstance(params, CorruptRecordError):
        return InForce(instrument=instrument, params=None, fault=params.message, change=None)
    return in_force(instrument, params, origin)
