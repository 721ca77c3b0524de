"""Base class and field types of settings.

A setting has one name everywhere: the field in lower case is the environment variable in upper
case.
"""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from sep_fx.instrument import is_instrument_name

from sep_kit.settings.relations import Relation


class Knobs(BaseModel):
    """Base of every class that declares settings.

    The docstring of a field is its description on the reference page, and the first line of the
    class's docstring is the heading above. ``relations`` states what must hold between fields.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    relations: ClassVar[tuple[Relation, ...]] = ()
    """What must hold between settings; not inherited, since each base is checked by itself."""


def _check_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > 65_535:
        raise ValueError("the port is above 65535")
    return address


def _check_name(name: str) -> str:
    if not is_instrument_name(name):
        raise ValueError(f"{name!r} is not an instrument name like EUR_USD")
    return name


def _parse_names(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",")]
    malformed = [name for name in names if not is_instrument_name(name)]
    if malformed:
        listed = ", ".join(map(repr, malformed))
        raise ValueError(f"{listed} is not an instrument name like EUR_USD")
    if len(set(names)) != len(names):
        raise ValueError("an instrument is named twice")
    return tuple(names)


Seconds = Annotated[float, Field(gt=0, le=86_400 * 400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Address = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.\-]+:[0-9]{1,5}$"), AfterValidator(_check_port)
]
InstrumentName = Annotated[str, AfterValidator(_check_name)]
InstrumentNames = Annotated[tuple[str, ...], BeforeValidator(_parse_names)]
