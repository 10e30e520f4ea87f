"""How a request says what is done about gaps, duplicates, open days and zones."""

import pytest
from pydantic import ValidationError

from forecasting.fill import DUPLICATES, METHODS, FillRules
from tasks.grid import FillParams, GridParams, fill_rules


def test_by_default_nothing_but_the_middle_is_filled():
    params = GridParams()
    assert fill_rules(params.fill) == FillRules()
    assert (params.calendar, params.timezone) == (None, "UTC")


@pytest.mark.parametrize("part", ["front", "middle", "back"])
@pytest.mark.parametrize("rule", [*METHODS, 0, -2.5])
def test_every_rule_of_the_room_may_be_asked_for(part, rule):
    if (part, rule) == ("front", "previous"):
        with pytest.raises(ValidationError):
            FillParams(front=rule)
    else:
        params = FillParams.model_validate({part: rule})
        assert fill_rules(params) == FillRules(**{part: rule})


@pytest.mark.parametrize("rule", DUPLICATES)
def test_every_rule_for_duplicates_may_be_asked_for(rule):
    assert fill_rules(FillParams(duplicates=rule)) == FillRules(duplicates=rule)


@pytest.mark.parametrize(
    "calendar", ["XNYS", "ECB", "B3", "DE", "DE-BE", "JP-01", "IN-Andhra Pradesh"]
)
def test_a_calendar_is_named_by_its_code(calendar):
    assert GridParams(calendar=calendar).calendar == calendar


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fill": {"middle": "zeros"}}, r"fill\.middle"),
        ({"fill": {"back": 1e101}}, r"fill\.back"),
        ({"fill": {"duplicates": "max"}}, r"fill\.duplicates"),
        ({"fill": {"future": "zero"}}, "Extra inputs are not permitted"),
        ({"calendar": "xnys"}, "match pattern"),
        ({"calendar": "../etc"}, "match pattern"),
        ({"timezone": "Moon"}, "not a time zone such as UTC"),
        ({"timezone": "../etc/passwd"}, "not a time zone such as UTC"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(given, words):
    with pytest.raises(ValidationError, match=words):
        GridParams.model_validate(given)


def test_params_survive_json():
    params = GridParams.model_validate(
        {"fill": {"front": "zero", "middle": 2, "back": "mean"}, "calendar": "ECB"}
    )
    assert GridParams.model_validate_json(params.model_dump_json()) == params
