"""Which taps a tenant may run: the operator lists them, and for whom."""

import pytest

from tasks import taps
from tasks.errors import FieldError
from tasks.taps import Runner

SETTING = "own=/opt/own; theirs@acme, beta =/opt/theirs --x 'a b'; all@*=/opt/all a=1"


@pytest.mark.parametrize(
    ("name", "alone", "allowed"),
    [
        ("acme", True, ["all", "own", "theirs"]),
        ("acme", False, ["all", "theirs"]),
        ("beta", False, ["all", "theirs"]),
        ("gamma", True, ["all", "own"]),
        ("gamma", False, ["all"]),
    ],
)
def test_a_tap_is_run_for_those_it_names_or_for_a_sole_tenant(name, alone, allowed):
    assert sorted(taps.of(Runner(name, alone), taps.listed(SETTING))) == allowed


def test_a_command_is_cut_as_a_shell_would():
    found = taps.listed(SETTING)
    assert found["theirs"].command == ("/opt/theirs", "--x", "a b")
    assert found["all"].command == ("/opt/all", "a=1")


@pytest.mark.parametrize("setting", ["", " ", ";", " ; "])
def test_without_an_entry_there_is_no_tap(setting):
    assert taps.listed(setting) == {}


@pytest.mark.parametrize(
    "setting",
    ["tap", "tap=", "=x", "Tap=x", "tap@=x", "tap@ ,=x", "@a=x", "tap='x", "a b=x"],
)
def test_what_is_no_entry_is_refused(setting):
    with pytest.raises(ValueError, match=r"is no name|No closing"):
        taps.listed(setting)


def test_blanks_around_a_name_do_not_count():
    assert sorted(taps.listed("a = /a; b @ x = /b")) == ["a", "b"]


def test_a_name_that_is_listed_twice_is_refused_as_one_would_hide_the_other():
    with pytest.raises(ValueError, match="'tap' is listed twice"):
        taps.listed("tap@acme=/a; tap@beta=/b")


@pytest.mark.parametrize(
    ("connector", "config", "known"),
    [
        ("singer_tap", {"tap": "x"}, "a, b"),
        ("singer_tap", {"tap": "a"}, None),
        ("singer_tap", {"tap": 1}, None),
        ("singer_tap", {}, None),
        ("other", {"tap": "x"}, None),
    ],
)
def test_a_source_is_told_which_taps_there_are(connector, config, known):
    found = taps.faults(connector, config, ["b", "a"])
    detail = f"no tap 'x' is listed for this tenant; there are: {known}"
    assert found == ([FieldError("/config/tap", detail)] if known else [])


def test_where_none_is_listed_that_is_said():
    (fault,) = taps.faults("singer_tap", {"tap": "x"}, [])
    assert fault.detail.endswith("there are: none")
