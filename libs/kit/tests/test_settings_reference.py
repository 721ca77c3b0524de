from pathlib import Path

from sep_kit.settings.reference import render

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_settings_page_is_what_the_settings_are() -> None:
    """Made with ``python -m sep_kit.settings.reference > docs/settings.md``."""
    assert PAGE.read_text(encoding="utf-8") == render()
