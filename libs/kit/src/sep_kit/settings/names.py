"""The names of all settings, to tell misspelled ones from the variables of other programs.

An environment is often shared by all services, while the image of a service holds that service
alone. The names are therefore read from ``known_settings.json``, which `make generate`
makes from all registered classes. A test compares the two.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from sep_kit.settings.registry import knob_groups, own_fields

_FILE = "known_settings.json"
_MISSPELLED = 0.85
"""A name at least this similar to a setting is a misspelling, whatever its prefix."""
_SUGGESTED = 0.6
"""A setting at least this similar to an unknown name is suggested for it."""


def unknown_names(environ: Iterable[str]) -> list[str]:
    """The variables that look like settings but are none, sorted."""
    known, prefixes = _known()
    injected = _injected_by_kubernetes()
    return sorted(
        name
        for name in environ
        if name not in known
        and not injected.fullmatch(name)
        and (name.startswith(prefixes) or _closest(name, _MISSPELLED))
    )


def suggestion(name: str) -> str | None:
    """The setting that an unknown name probably means; None if none is similar."""
    return _closest(name, _SUGGESTED)


def render() -> str:
    """The content of ``known_settings.json``: every name, and every prefix of ours alone."""
    names = sorted(name.upper() for group in knob_groups() for name in own_fields(group))
    distinctive = [
        name.upper()
        for group in knob_groups()
        if not vars(group).get("generic_names")
        for name in own_fields(group)
    ]
    known = {"names": names, "prefixes": own_prefixes(distinctive, names)}
    return json.dumps(known, indent=1) + "\n"


def own_prefixes(distinctive: Iterable[str], names: Iterable[str]) -> list[str]:
    """The prefixes that mark a name as meant for this stack.

    The first word of a name, if other settings share it; else its first two words, since a
    single word such as MAX or READ is used by other programs too.
    """
    sharing = Counter(name.split("_")[0] for name in names)
    prefixes = set()
    for name in distinctive:
        words = name.split("_")
        used = words[: 1 if sharing[words[0]] > 1 else 2]
        prefixes.add("_".join(used) + ("_" if len(words) > len(used) else ""))
    return sorted(prefixes)


@cache
def _known() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and prefixes."""
    content = json.loads(files(__package__ or "").joinpath(_FILE).read_text("utf-8"))
    return tuple(content["names"]), tuple(content["prefixes"])


@cache
def _injected_by_kubernetes() -> re.Pattern[str]:
    """Variables that Kubernetes sets for each service, such as GUARD_PORT."""
    services = (n.removesuffix("_ADDR") for n in _known()[0] if n.endswith("_ADDR"))
    return re.compile(rf"({'|'.join(services)})_(PORT|SERVICE_HOST|SERVICE_PORT)(_.*)?")


def _closest(name: str, similarity: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, _known()[0], 1, similarity)), None)
