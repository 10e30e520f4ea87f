"""What may be asked for, and where the numbers of a job come from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.catalog import job_types
from tasks.errors import InvalidData, InvalidParams
from tasks.inputs import SeriesParams, aware, common_step, inputs, rfc3339
from tasks.submit import validated
from tests.fakes import FakeContext
from tests.tasks.series import START, data, store

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:00Z"


def _read(context: FakeContext, **params) -> list[tuple]:
    return [
        (total, item.unique_id, item.frequency, item.values.tolist())
        for total, item in inputs(SeriesParams.model_validate(params), context)
    ]


@pytest.fixture
def context(database, tenant_id) -> FakeContext:
    return FakeContext(tenant_id=tenant_id, database=database)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "give either series or data"),
        ({"series": ["a"], "data": data([1.0])}, "give either series or data"),
        ({"series": ["a"], "colour": "red"}, "Extra inputs are not permitted"),
        ({"series": []}, "at least 1 item"),
        ({"series": ["a"] * 1_001}, "at most 1000 items"),
        ({"series": ["A"]}, "match pattern"),
        ({"series": ["-a"]}, "match pattern"),
        ({"series": ["a b"]}, "match pattern"),
        ({"series": ["a\n"]}, "match pattern"),
        ({"series": ["a" * 201]}, "match pattern"),
        ({"series": {"tag": "x", "key": "y"}}, "Extra inputs are not permitted"),
        ({"data": []}, "at least 1 item"),
        ({"data": [{"ds": AT}]}, "Field required"),
        ({"data": [{"y": 1}]}, "Field required"),
        ({"data": [{"ds": AT, "y": float("nan")}]}, "finite number"),
        ({"data": [{"ds": AT, "y": float("inf")}]}, "finite number"),
        ({"data": [{"ds": AT, "y": "many"}]}, "valid number"),
        ({"data": [{"ds": AT, "y": 1, "z": 1}]}, "Extra inputs are not permitted"),
        ({"data": [{"ds": AT, "y": 1, "unique_id": ""}]}, "at least 1 character"),
        ({"data": [{"ds": "2026-01-01T00:00:00", "y": 1}]}, "has no offset"),
        ({"data": [{"ds": datetime(2026, 1, 1), "y": 1}]}, "has no offset"),  # noqa: DTZ001
        ({"data": [{"ds": "yesterday", "y": 1}]}, "not an RFC 3339 time"),
        ({"data": [{"ds": 0, "y": 1}]}, "a time is a string"),
        ({"data": [{"ds": "0001-01-01T00:00:00+01:00", "y": 1}]}, "years 1 to 9999"),
        ({"data": [{"ds": "9999-12-31T23:59:59-01:00", "y": 1}]}, "years 1 to 9999"),
        (
            {"data": [{"ds": AT, "y": 1}, {"ds": AT, "y": 2}]},
            r"row 1 \(series, 2026-01-01T00:00:00\+00:00\) repeats a time",
        ),
        (
            {"data": [{"ds": LATER, "y": 1}, {"ds": AT, "y": 2}]},
            r"row 1 \(series, 2026-01-01T00:00:00\+00:00\) goes back in time",
        ),
        (
            {"data": [{"ds": AT, "y": 1}, {"ds": "2026-01-01T01:00:00+01:00", "y": 1}]},
            "row 1 .* repeats a time",
        ),
        (
            {"data": [*data([1.0]), *data([None, None], unique_id="b")]},
            "all values of b are missing",
        ),
        ({"data": data([None])}, "all values of a are missing"),
        ({"data": data([1.0]), "as_of": AT}, "inline data has no versions"),
        ({"series": ["a"], "as_of": "2026-01-01"}, "has no offset"),
        ({"series": ["a"], "frequency": "1" * 21}, "at most 20 characters"),
        ({"series": ["a"], "frequency": "banana"}, "not a frequency such as 1h"),
        ({"series": ["a"], "frequency": "P1M1D"}, "not a frequency such as 1h"),
    ],
)
def test_what_cannot_be_worked_on_is_refused_in_words(params, words):
    with pytest.raises(ValidationError, match=words):
        SeriesParams.model_validate(params)


@pytest.mark.parametrize("series", ["load", 7, {}, {"key": "load"}])
def test_what_selects_no_series_in_any_way_is_told_once(series):
    params = {"series": series, "horizon": 3}
    with pytest.raises(InvalidParams) as caught:
        validated(job_types()["forecast.run"], params)
    ((pointer, detail),) = [(one.pointer, one.detail) for one in caught.value.errors]
    assert pointer == "/params/series"
    assert detail.startswith('give a list of keys, such as ["a", "b"], or {"tag"')


def test_series_may_take_turns_in_the_rows():
    first, second = data([1.0, 2.0]), data([3.0, 4.0], unique_id="b")
    mixed = [first[0], second[0], first[1], second[1]]
    assert _read(FakeContext(), data=mixed) == [
        (2, "a", None, [1.0, 2.0]),
        (2, "b", None, [3.0, 4.0]),
    ]


def test_rows_become_utc_times_and_missing_values():
    params = SeriesParams.model_validate(
        {
            "data": [
                {"ds": "2026-03-29T01:30:00+01:00", "y": None},
                {"ds": "2026-03-29T03:30:00.000001+02:00", "y": 2},
            ],
            "frequency": "1h",
        }
    )
    ((_, item),) = inputs(params, FakeContext())
    assert item.series_id is None
    assert item.frequency == "1h"
    assert item.times.dtype == "M8[us]"
    assert item.times.tolist() == [
        datetime(2026, 3, 29, 0, 30),  # noqa: DTZ001 - numpy's times have no zone
        datetime(2026, 3, 29, 1, 30, 0, 1),  # noqa: DTZ001
    ]
    np.testing.assert_array_equal(item.values, [np.nan, 2.0])


@pytest.mark.servers
def test_stored_series_are_read_in_the_order_asked_for_and_once(
    context, database, tenant_id
):
    store(database, tenant_id, "a", [1.0], frequency="1h")
    store(database, tenant_id, "b", [2.0, 3.0])
    assert _read(context, series=["b", "a", "b"]) == [
        (2, "b", None, [2.0, 3.0]),
        (2, "a", "1h", [1.0]),
    ]
    assert _read(context, series=["a"], frequency="1d") == [(1, "a", "1d", [1.0])]


@pytest.mark.servers
def test_a_tag_selects_all_its_series(context, database, tenant_id):
    store(database, tenant_id, "a", [1.0], tags=["x", "y"])
    store(database, tenant_id, "b", [2.0], tags=["y"])
    store(database, tenant_id, "c", [3.0], tags=[])
    assert [item[1] for item in _read(context, series={"tag": "y"})] == ["a", "b"]
    assert [item[1] for item in _read(context, series={"tag": "x"})] == ["a"]
    with pytest.raises(InvalidData, match="no series carries the tag 'z'") as caught:
        _read(context, series={"tag": "z"})
    assert [error.pointer for error in caught.value.errors] == ["/params/series/tag"]


@pytest.mark.servers
def test_every_series_that_does_not_exist_is_named(context, database, tenant_id):
    store(database, tenant_id, "a", [1.0])
    with pytest.raises(InvalidData, match="no series b") as caught:
        _read(context, series=["a", "b", "c"])
    assert [(error.pointer, error.detail) for error in caught.value.errors] == [
        ("/params/series/1", "no series b"),
        ("/params/series/2", "no series c"),
    ]


@pytest.mark.servers
def test_a_series_of_another_tenant_does_not_exist(
    context, database, tenant_id, other_tenant_id
):
    store(database, other_tenant_id, "a", [1.0], tags=["x"])
    for selection in (["a"], {"tag": "x"}):
        with pytest.raises(InvalidData):
            _read(context, series=selection)


@pytest.mark.servers
def test_as_of_reads_what_was_known_then(context, database, tenant_id):
    first, second = START + timedelta(days=10), START + timedelta(days=20)
    store(database, tenant_id, "a", [1.0, 2.0], now=first)
    store(database, tenant_id, "a", [1.0, 5.0, 6.0], now=second)
    between = (first + timedelta(days=1)).isoformat()
    assert _read(context, series=["a"], as_of=between)[0][3] == [1.0, 2.0]
    assert _read(context, series=["a"])[0][3] == [1.0, 5.0, 6.0]


@pytest.mark.servers
def test_a_context_reads_a_handful_of_series_at_a_time(
    context, database, tenant_id, monkeypatch
):
    monkeypatch.setattr("tasks.inputs._SERIES_AT_ONCE", 1)
    for key in ("a", "b"):
        store(database, tenant_id, key, [1.0])
    params = SeriesParams.model_validate({"series": ["a", "b"]})
    reading = inputs(params, context)
    assert next(reading)[1].unique_id == "a"
    store(database, tenant_id, "b", [7.0], now=START + timedelta(days=400))
    assert next(reading)[1].values.tolist() == [7.0]


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        ([0, 60, 120], "60s"),
        ([0, 3_600, 7_200, 14_400], "3600s"),
        ([0, 0.5, 1], "500000us"),
        ([0, 1, 3], "1s"),
    ],
)
def test_the_most_common_step_is_the_frequency(seconds, step):
    times = np.array([int(one * 1e6) for one in seconds], "M8[us]")
    assert common_step(times) == step


def test_the_most_common_step_of_rows_in_any_order_is_that_of_their_times():
    hours = np.datetime64("2026-01-01", "us") + np.array([5, 0, 0, 1, 2, 2, 2]) * (
        np.timedelta64(1, "h")
    )
    assert common_step(hours) == "3600s"


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_times_have_no_step(count):
    with pytest.raises(InvalidData, match="say the frequency"):
        common_step(np.zeros(count, "M8[us]"))


def test_times_leave_as_they_came():
    instant = np.datetime64("2026-03-01T06:00:00.000001")
    assert aware(instant) == datetime(2026, 3, 1, 6, 0, 0, 1, UTC)
    assert aware(np.datetime64("2026-03-01")) == datetime(2026, 3, 1, tzinfo=UTC)
    assert rfc3339(instant) == "2026-03-01T06:00:00.000001Z"


_OFFSETS = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
_INSTANTS = st.datetimes(
    datetime(1900, 1, 2),  # noqa: DTZ001
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=_OFFSETS,
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@st.composite
def _data(draw) -> list[dict]:
    rows = []
    for name in draw(st.lists(_NAMES, min_size=1, max_size=3, unique=True)):
        times = draw(st.lists(_INSTANTS, min_size=1, max_size=5, unique=True))
        values = draw(
            st.lists(st.none() | _NUMBERS, min_size=len(times), max_size=len(times))
        )
        values[0] = draw(_NUMBERS)
        rows += [
            {"unique_id": name, "ds": time.isoformat(), "y": value}
            for time, value in zip(sorted(times), values, strict=True)
        ]
    return rows


_SELECTIONS = st.one_of(
    st.fixed_dictionaries({"data": _data()}),
    st.fixed_dictionaries(
        {
            "series": st.lists(
                st.from_regex(r"[a-z0-9][a-z0-9._:-]{0,30}", fullmatch=True),
                min_size=1,
                max_size=4,
            )
        },
        optional={"as_of": _INSTANTS.map(datetime.isoformat)},
    ),
    st.fixed_dictionaries(
        {"series": st.fixed_dictionaries({"tag": _NAMES})},
    ),
)
_LEVELS = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9, unique=True).map(
    sorted
)
_FORECASTS = st.fixed_dictionaries(
    {"horizon": st.integers(1, 10_000)},
    optional={
        "quantiles": _LEVELS,
        "model": st.sampled_from(["auto", "naive", "theta"]),
        "backtest": st.fixed_dictionaries({"windows": st.integers(1, 20)}),
        "seed": st.integers(0, 2**31 - 1),
        "frequency": st.none()
        | st.sampled_from(["1h", "D", "15min", "MS", "PT1H", "P1DT2H"]),
    },
)
_ANALYSES = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["batch", "latest", "changepoints"]),
        "sensitivity": st.integers(0, 100),
        "from": _INSTANTS.map(datetime.isoformat),
    },
)


@settings(deadline=None, max_examples=80)
@given(
    selection=_SELECTIONS,
    rest=st.one_of(
        st.tuples(st.just("forecast.run"), _FORECASTS),
        st.tuples(st.just("analysis.run"), _ANALYSES),
    ),
)
def test_checked_params_survive_json_and_are_checked_to_themselves(selection, rest):
    name, params = rest
    kind = job_types()[name]
    checked = validated(kind, {**selection, **params})
    stored = orjson.loads(orjson.dumps(checked))
    assert stored == checked
    assert validated(kind, stored) == checked
    assert kind.params.model_validate(stored) == kind.params.model_validate(
        {**selection, **params}
    )


def test_a_fake_context_without_a_database_says_so():
    with pytest.raises(AssertionError, match="without a database"):
        replace(FakeContext()).read()
