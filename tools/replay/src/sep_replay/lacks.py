"""What a replay lacks before it starts: conversions, and history that the gates need."""

from collections.abc import Iterator

from sep_fx.instrument import split_name
from sep_paper_broker.account.conversion import instruments_to_convert

from sep_replay.tape import Tape

_DAY = 86_400


def lacks_of(tape: Tape, home: str, span_days: int) -> Iterator[str]:
    """One sentence for each thing that is missing.

    Args:
        home: the account's currency.
        span_days: length of the slice that gates judge.
    """
    for name in tape.instruments:
        bars, quote = tape.bars[name], split_name(name)[1]
        if not len(bars):
            yield f"{name} has no candle in the selected range: it is not traded"
            continue
        if quote != home and not _converts(quote, home, tape):
            pairs = " or ".join(_pairs(quote, home))
            yield f"{name} can't be valued in {home} without candles of {pairs}: it is not traded"
        days = (int(bars.time[-1]) + tape.granularity.seconds - int(bars.time[0])) / _DAY
        if days < span_days:
            yield f"{name} has {days:.1f} days of candles, less than the {span_days} of a slice"


def conversions_of(names: tuple[str, ...], home: str, held: frozenset[str]) -> frozenset[str]:
    """The other instruments held whose quotes value these in the home currency."""
    quotes = [split_name(name)[1] for name in names]
    return instruments_to_convert(quotes, home, held) - frozenset(names)


def _converts(quote: str, home: str, tape: Tape) -> bool:
    found = {i for i, bars in tape.bars.items() if len(bars)}

    def pair(a: str, b: str) -> bool:
        return f"{a}_{b}" in found or f"{b}_{a}" in found

    return pair(quote, home) or (pair(quote, "USD") and pair("USD", home))


def _pairs(quote: str, home: str) -> list[str]:
    direct = [f"{quote}_{home}"]
    return direct if "USD" in (quote, home) else [*direct, f"{quote}_USD with USD_{home}"]
