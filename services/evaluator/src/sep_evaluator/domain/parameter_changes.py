"""Changes of the parameters in force: what may be put into force, and what is recorded of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sep_evaluator.domain.params import StrategyParams, digest_of


class InvalidParametersError(ValueError):
    """Parameters are unknown or out of range, or an instrument is named twice."""


class NoVerdictError(Exception):
    """No verdict says to promote these parameters, and no one forced the change."""


class OthersInForceError(Exception):
    """Other parameters are in force than the change expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Parameters that somebody wants in force.

    Args:
        values: parameters by name; those that are not named have their defaults.
        judged: whether a run's verdict, from results out of sample, is to promote them.
        against: why the verdict is against them.
        digest_before: digest of the parameters that must be in force; None for any.
    """

    instrument: str
    values: Mapping[str, float]
    judged: bool
    against: tuple[str, ...] = ()
    digest_before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a change does to one instrument; ``before`` is None where it can't be read."""

    instrument: str
    before: StrategyParams | None
    after: StrategyParams
    against: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of one or several instruments at once.

    Args:
        ts_ms: when it was made.
        actor: name of the key that made it.
        run: the research run that judged the parameters; empty without one.
        forced_by: who forced it against its verdict; empty when it was not forced.
        rolls_back: id of the change that it takes back; empty for a promotion.
    """

    id: str
    ts_ms: int
    actor: str
    reason: str
    run: str = ""
    forced_by: str = ""
    rolls_back: str = ""
    changed: tuple[Changed, ...]

    def of(self, instrument: str) -> Changed | None:
        """What it does to an instrument."""
        return next((c for c in self.changed if c.instrument == instrument), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """The parameters of one instrument, or why what is stored is none.

    Args:
        change: what put them into force; None for defaults and for a value set by hand.
    """

    instrument: str
    params: StrategyParams | None
    fault: str
    change: Change | None

    @property
    def digest(self) -> str:
        """Digest of the parameters; empty while what is stored is invalid."""
        return "" if self.params is None else digest_of(self.params)

    @property
    def run(self) -> str:
        """The research run that judged the parameters; empty without one."""
        return "" if self.change is None else self.change.run


def in_force(instrument: str, params: StrategyParams, origin: Change | None) -> InForce:
    """Valid parameters, with the change that put them into force.

    Args:
        origin: the last change of the instrument.
    """
    made_by = None if origin is None else origin.of(instrument)
    # A value set by hand, or by an earlier release, is not the last change's.
    ours = made_by is not None and made_by.after == params
    return InForce(instrument=instrument, params=params, fault="", change=origin if ours else None)


def judged_by(before: Sequence[Change], change: Change) -> str:
    """The one run that judged all parameters which were in force before a change; else empty.

    Args:
        before: the changes up to this one, newest first.
    """
    runs = {
        next((b.run for b in before if (c := b.of(back.instrument)) and c.after == back.before), "")
        for back in change.changed
    }
    return runs.pop() if len(runs) == 1 else ""


def promotion(
    wanted: Sequence[Wanted], current: Mapping[str, StrategyParams | None], forced_by: str
) -> tuple[Changed, ...]:
    """What a promotion changes.

    Args:
        current: the parameters in force; None where they can't be read.
        forced_by: who forces it; empty if it is not forced.

    Raises:
        InvalidParametersError: names every parameter that is unknown or out of range, and every
            instrument that is named twice.
        NoVerdictError: names the instruments without a verdict to promote.
        OthersInForceError: others are in force than ``digest_before`` says.
    """
    names = [w.instrument for w in wanted]
    twice = sorted({n for n in names if names.count(n) > 1})
    faults = [f"{name}: named twice" for name in twice]
    changed: list[Changed] = []
    for w in wanted:
        try:
            after = StrategyParams.from_mapping(w.values)
        except ValueError as error:
            faults.append(f"{w.instrument}: {error}")
            continue
        before = current[w.instrument]
        changed.append(
            Changed(instrument=w.instrument, before=before, after=after, against=w.against)
        )
    if faults:
        raise InvalidParametersError("; ".join(faults))
    if not forced_by.strip():
        _require_verdicts(wanted)
    _require_expected({w.instrument: w.digest_before for w in wanted}, current)
    return tuple(changed)


def rollback(change: Change, current: Mapping[str, StrategyParams | None]) -> tuple[Changed, ...]:
    """What taking a change back changes.

    Raises:
        OthersInForceError: a later change is in force, or what was in force before the change
            could not be read.
    """
    _require_expected({c.instrument: digest_of(c.after) for c in change.changed}, current)
    lost = [c.instrument for c in change.changed if c.before is None]
    if lost:
        raise OthersInForceError(
            f"what was in force before the change could not be read: {', '.join(lost)}; promote"
            " parameters instead"
        )
    return tuple(
        Changed(instrument=c.instrument, before=current[c.instrument], after=c.before)
        for c in change.changed
        if c.before is not None
    )


def _require_verdicts(wanted: Sequence[Wanted]) -> None:
    missing = [
        f"{w.instrument}: {', '.join(w.against) or 'no results out of sample'}"
        for w in wanted
        if w.against or not w.judged
    ]
    if missing:
        raise NoVerdictError(
            f"no verdict to promote: {'; '.join(missing)}. Forcing it needs a name and a reason"
        )


def _require_expected(
    expected: Mapping[str, str | None], current: Mapping[str, StrategyParams | None]
) -> None:
    others = []
    for instrument, digest in expected.items():
        params = current[instrument]
        found = "invalid ones" if params is None else digest_of(params)
        if digest is not None and found != digest:
            others.append(f"{instrument} has {found}, expected {digest}")
    if others:
        raise OthersInForceError(f"other parameters are in force: {'; '.join(others)}")
