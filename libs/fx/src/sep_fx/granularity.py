"""Candle granularities of fixed length, under OANDA's names."""

from enum import StrEnum


class Granularity(StrEnum):
    """Length of a bar. Weeks and months are left out: their length varies."""

    S5 = "S5"
    S10 = "S10"
    S15 = "S15"
    S30 = "S30"
    M1 = "M1"
    M2 = "M2"
    M4 = "M4"
    M5 = "M5"
    M10 = "M10"
    M15 = "M15"
    M30 = "M30"
    H1 = "H1"
    H2 = "H2"
    H3 = "H3"
    H4 = "H4"
    H6 = "H6"
    H8 = "H8"
    H12 = "H12"
    D = "D"

    @property
    def seconds(self) -> int:
        """The bar's length in seconds."""
        if self is Granularity.D:
            return 86_400
        unit = {"S": 1, "M": 60, "H": 3600}[self.value[0]]
        return unit * int(self.value[1:])
