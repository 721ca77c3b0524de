"""The check of all settings in a process of its own."""

import sys

import pytest
from sep_local.check import check_environment
from sep_local.check_apart import check_apart
from sep_local.errors import StackError
from sep_local.parts import service_environment
from sep_local.settings import read_settings


def test_faults_are_those_of_the_check_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    good = service_environment(read_settings({}), {"OANDA_API_TOKEN": "t", "OANDA_ACCOUNT_ID": "1"})
    bad = {**good, "GUARD_MIN_COHERENCE": "0.3", "ALLOC_TOP_K": "none"}
    found = []
    for check in (check_environment, check_apart):
        with pytest.raises(StackError) as caught:
            check(bad, ["NO_SUCH_SETTING"])
        found.append((caught.value.headline, caught.value.faults))
    assert found[0] == found[1]
    assert len(found[0][1]) >= 3
    monkeypatch.setattr(sys, "executable", "/usr/bin/false")
    with pytest.raises(StackError, match="the check of the settings failed"):
        check_apart(good)


def test_the_memory_of_a_service_has_two_arenas_unless_the_operator_says_otherwise() -> None:
    settings = read_settings({})
    assert service_environment(settings, {})["MALLOC_ARENA_MAX"] == "2"
    assert service_environment(settings, {})["MALLOC_MMAP_THRESHOLD_"] == "131072"
    assert service_environment(settings, {"MALLOC_ARENA_MAX": "4"})["MALLOC_ARENA_MAX"] == "4"
