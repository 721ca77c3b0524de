"""Files generated from the settings classes are up to date."""

import re
from pathlib import Path

from sep_kit.settings import names, reference
from sep_kit.settings.in_force import settings_in_force
from sep_kit.settings.loading import ServiceSettings, load_settings
from sep_kit.settings.registry import all_settings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
KNOWN = Path(names.__file__).parent / "known_settings.json"


def test_the_settings_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.render()


def test_the_known_names_are_up_to_date() -> None:
    assert KNOWN.read_text(encoding="utf-8") == names.render()


def test_settings_that_hold_secrets_are_withheld_with_their_defaults() -> None:
    given = {
        "OANDA_API_TOKEN": "hunter2hunter2hunter2",
        "NOTIFY_URLS": "tgram://hunter2/1",
        "NOTIFY_HEARTBEAT_URL": "https://example.test/hunter2",
        "JOURNAL_DB_URL": "postgresql://sep:hunter2@localhost/journal",
    }
    settings = load_settings(all_settings(ServiceSettings), given, Path("/nonexistent"))
    found = {setting.name: setting for setting in settings_in_force(settings)}
    assert {name for name, setting in found.items() if setting.secret} == given.keys()
    assert "hunter2" not in repr(found)
    assert all(found[name].changed and found[name].default is None for name in given)
    # A new setting of such a name has a secret type.
    assert {n for n in found if re.search("TOKEN|PASSWORD|SECRET", n)} == {"OANDA_API_TOKEN"}


def test_values_are_shown_as_they_are_written_in_the_environment() -> None:
    given = {"OANDA_API_TOKEN": "t" * 20, "HYSTERESIS_PAIR_JSON": '{"EUR_USD": 0.2}',
             "READ_ONLY": "1", "MAX_SPREAD_BPS": "2.50", "OANDA_ENVIRONMENT": "paper"}  # fmt: skip
    settings = load_settings(all_settings(ServiceSettings), given, Path("/nonexistent"))
    found = {setting.name: setting for setting in settings_in_force(settings)}
    del given["OANDA_API_TOKEN"]
    assert {name: found[name].value for name in given} == given
    assert load_settings(
        all_settings(ServiceSettings),
        {"OANDA_API_TOKEN": "t" * 20}
        | {n: s.value for n, s in found.items() if s.value is not None},
        Path("/nonexistent"),
    ).model_dump() == settings.model_dump()  # fmt: skip
