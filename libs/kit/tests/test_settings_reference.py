"""Files generated from the settings classes are up to date."""

from pathlib import Path

from sep_kit.settings import names, reference

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
KNOWN = Path(names.__file__).parent / "known_settings.json"


def test_the_settings_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.render()


def test_the_known_names_are_up_to_date() -> None:
    assert KNOWN.read_text(encoding="utf-8") == names.render()
