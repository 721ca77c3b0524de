"""Changes of the strategy's parameters, one for each instrument."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParametersChange:
    """What a change did to one instrument.

    Attributes:
        id: of the change, which may be of several instruments at once.
        run: the research run that judged the parameters; empty without one.
        digest: of the parameters now in force; digest_before: of those before, empty if invalid.
        against: why the run's verdict is against them.
        forced_by: who forced it; empty if it is not forced.
        rolls_back: id of the change that it takes back; empty for a promotion.
    """

    id: str
    ts_ms: int
    instrument: str
    run: str
    digest: str
    digest_before: str
    actor: str
    reason: str
    against: tuple[str, ...] = ()
    forced_by: str = ""
    rolls_back: str = ""

    @property
    def title(self) -> str:
        """One line for people."""
        verb = "taken back" if self.rolls_back else "changed"
        name = f"run {self.run}" if self.run else self.digest
        forced = f", forced by {self.forced_by}" if self.forced_by else ""
        return f"{self.instrument}: parameters {verb} to {name} by {self.actor}{forced}"
