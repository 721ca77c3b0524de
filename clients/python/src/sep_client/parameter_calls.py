"""The calls about the parameters in force; ``calls`` has them all."""

from collections.abc import Sequence

from sep_client import models as m
from sep_client.call import Call
from sep_client.requests import Wanted


def parameters() -> Call[m.ListParametersResponse]:
    """The parameters in force by instrument, and the change that put them there."""
    return Call(m.ListParametersResponse, "/api/parameters")


def parameter_changes(
    instrument: str | None = None, limit: int | None = None
) -> Call[m.ListParameterChangesResponse]:
    """Changes of the parameters in force, the newest first."""
    given = {"instrument": instrument, "limit": limit}
    query = {name: value for name, value in given.items() if value is not None}
    return Call(m.ListParameterChangesResponse, "/api/parameters/history", query)


def promote_parameters(
    wanted: Sequence[Wanted],
    *,
    run: str,
    reason: str,
    forced_by: str = "",
    dry_run: bool = False,
) -> Call[m.PromoteParametersResponse]:
    """Put parameters into force, for all instruments or for none. Needs a write key.

    Args:
        run: the research run that judged them.
        forced_by: who forces it against or without a verdict.
    """
    body = {
        "wanted": [w.body() for w in wanted],
        "run": run,
        "reason": reason,
        "forced_by": forced_by,
        "dry_run": dry_run,
    }
    return Call(m.PromoteParametersResponse, "/api/parameters/promote", body=body)


def roll_back_parameters(
    change_id: str, *, reason: str, dry_run: bool = False
) -> Call[m.RollBackParametersResponse]:
    """Take a change of parameters back. Needs a write key."""
    body = {"change_id": change_id, "reason": reason, "dry_run": dry_run}
    return Call(m.RollBackParametersResponse, "/api/parameters/rollback", body=body)
