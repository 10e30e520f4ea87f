"""Covariates of a request: rows, stored series with their versions, holidays."""

from datetime import timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from forecasting.covariates import FILLS, Holidays, align
from tasks.covariates import (
    CovariateParams,
    attributes_of,
    covariate_reader,
)
from tasks.errors import InvalidData
from tasks.inputs import Input
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, store

NAN = np.nan
ROW = {"ds": "2026-01-01T00:00:00Z", "value": 1}
INLINE = {"name": "x", "rows": [ROW]}


def read_covariates(params, context, item):
    """Read those of one series."""
    return covariate_reader(params, context)(item)


def _params(*covariates, **more) -> CovariateParams:
    return CovariateParams.model_validate({"covariates": list(covariates), **more})


def _item(count: int, *, unique_id: str = "a") -> Input:
    times = np.datetime64(START.replace(tzinfo=None), "us")
    times = times + np.arange(count) * np.timedelta64(1, "h")
    return Input(unique_id, None, "1h", times, np.arange(count, dtype=float))


def _beside(found, item: Input, *, horizon: int = 2, cutoff: int | None = None):
    times = item.times[: item.times.size if cutoff is None else cutoff + 1]
    ahead = times[-1] + np.arange(1, horizon + 1) * np.timedelta64(1, "h")
    return align(found, grid_times=times, cutoff_time=times[-1], future_times=ahead)


def _rows(values, *, issued=None, **more) -> list[dict]:
    return [
        {
            "ds": (START + at * HOUR).isoformat(),
            "value": value,
            "issued": issued and (START + issued * HOUR).isoformat(),
            **more,
        }
        for at, value in enumerate(values)
    ]


@pytest.fixture
def context(database, tenant_id) -> FakeContext:
    return FakeContext(tenant_id=tenant_id, database=database)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"covariates": [{}]}, "give either series or rows"),
        ({"covariates": [{**INLINE, "series": "a"}]}, "give either series or rows"),
        ({"covariates": [{"rows": [ROW]}]}, "give the covariate a name"),
        ({"covariates": [{"series": {"a": "b"}}]}, "give the covariate a name"),
        ({"covariates": [{"series": {}, "name": "x"}]}, "series names no series"),
        ({"covariates": [{**INLINE, "strict": True}]}, "strict needs a stored series"),
        ({"covariates": [INLINE, INLINE]}, "two covariates are called x"),
        ({"covariates": [{"series": "A b"}]}, r"covariates\.0\.series"),
        ({"covariates": [{**INLINE, "known": "now"}]}, r"covariates\.0\.known"),
        (
            {"covariates": [{**INLINE, "past_fill": "auto"}]},
            r"covariates\.0\.past_fill",
        ),
        ({"covariates": [{"name": "x", "rows": []}]}, r"covariates\.0\.rows"),
        (
            {"covariates": [{"name": "x", "rows": [{**ROW, "ds": "2026-01-01"}]}]},
            r"covariates\.0\.rows\.0\.ds",
        ),
        (
            {"covariates": [{"name": "x", "rows": [{**ROW, "value": 1e101}]}]},
            r"covariates\.0\.rows\.0\.value",
        ),
        ({"covariates": [INLINE] * 51}, "at most 50 items"),
        ({"holidays": {"country": "Germany"}}, r"holidays\.country"),
        (
            {"holidays": {"country": "DE", "timezone": "Moon"}},
            r"holidays\.timezone",
        ),
        ({"attributes": {"a": {"region": 3}}}, r"attributes\.a\.region"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(given, words):
    with pytest.raises(ValidationError, match=words):
        CovariateParams.model_validate(given)


@pytest.mark.parametrize("rule", [*FILLS, 2.5])
def test_every_fill_of_the_room_may_be_asked_for(rule):
    params = _params({**INLINE, "past_fill": rule, "future_fill": rule})
    (found,) = read_covariates(params, FakeContext(), _item(1))
    assert (found.past_fill, found.future_fill) == (rule, rule)


def test_params_survive_json():
    params = _params(
        INLINE,
        {"series": {"a": "b"}, "name": "y", "past_fill": 0},
        holidays={"country": "DE"},
        attributes={"a": {"region": "north"}},
    )
    assert CovariateParams.model_validate_json(params.model_dump_json()) == params


def test_nothing_is_read_where_nothing_was_asked_for():
    assert read_covariates(CovariateParams(), FakeContext(), _item(3)) == ()


def test_attributes_are_those_of_the_series():
    params = _params(attributes={"a": {"region": "north", "kind": "shop"}})
    assert attributes_of(params, "a") == (("kind", "shop"), ("region", "north"))
    assert attributes_of(params, "b") == ()


def test_rows_are_for_all_series_or_for_one():
    mine = _rows([5, 6, 7, 8, 9], unique_id="b")
    params = _params({"name": "x", "rows": [*_rows([1, 2, 3, 4, None]), *mine]})
    read = covariate_reader(params, FakeContext())
    ours = _beside(read(_item(3)), _item(3), horizon=1)
    assert (ours.past.ravel().tolist(), ours.future.tolist()) == ([1, 2, 3], [[4]])
    other = _item(3, unique_id="b")
    assert _beside(read(other), other).past.ravel().tolist() == [5, 6, 7]


def test_a_series_without_rows_of_its_own_is_told():
    params = _params({"name": "x", "rows": [{**ROW, "unique_id": "b"}]})
    with pytest.raises(InvalidData, match="covariate x has no rows for a"):
        read_covariates(params, FakeContext(), _item(3))


def test_rows_that_contradict_each_other_are_named():
    params = _params(INLINE, {"name": "y", "rows": [ROW, ROW]})
    with pytest.raises(InvalidData, match="'y' has two values for") as caught:
        read_covariates(params, FakeContext(), _item(3))
    assert [one.pointer for one in caught.value.errors] == ["/params/covariates/1"]


def test_rows_are_read_as_they_were_issued():
    rows = _rows([1, 2, 3, 4, 5]) + _rows([10, 20, 30, 40, 50], issued=2)
    params = _params({"name": "x", "rows": rows, "known": "future"})
    found = read_covariates(params, FakeContext(), _item(3))
    assert _beside(found, _item(3), cutoff=1).past.ravel().tolist() == [1, 2]
    assert _beside(found, _item(3), cutoff=2).past.ravel().tolist() == [10, 20, 30]


def test_holidays_come_with_their_place():
    place = {"country": "DE", "region": "BE", "timezone": "Europe/Berlin"}
    found = read_covariates(_params(holidays=place), FakeContext(), _item(3))
    assert found == (Holidays("DE", "BE", "Europe/Berlin"),)


@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        ({"country": "ZZ"}, "/params/holidays/country"),
        ({"country": "DE", "region": "ZZ"}, "/params/holidays/region"),
    ],
)
def test_a_place_without_holidays_is_refused_by_its_field(place, pointer):
    with pytest.raises(InvalidData) as caught:
        covariate_reader(_params(holidays=place), FakeContext())
    assert [one.pointer for one in caught.value.errors] == [pointer]


@pytest.mark.servers
def test_a_stored_series_is_a_covariate(context, database, tenant_id):
    store(database, tenant_id, "weather", [1.0, 2.0, 3.0, 4.0, 5.0])
    params = _params(
        {"series": "weather"}, {"series": "weather", "name": "seen", "known": "past"}
    )
    item = _item(3)
    found = _beside(read_covariates(params, context, item), item)
    assert found.names == ("weather", "seen")
    assert found.past.tolist() == [[1, 1], [2, 2], [3, 3]]
    np.testing.assert_array_equal(found.future, [[4, NAN], [5, NAN]])
    (note,) = found.notes
    assert note.startswith("5 values of the covariate 'weather' were stored after")


@pytest.mark.servers
def test_versions_count_since_they_were_stored(context, database, tenant_id):
    store(database, tenant_id, "weather", [1.0] * 8, now=START - HOUR)
    store(database, tenant_id, "weather", [1.0] * 3 + [5.0] * 5, now=START + 2 * HOUR)
    item = _item(6)
    found = read_covariates(_params({"series": "weather"}), context, item)
    assert _beside(found, item, cutoff=1).future.ravel().tolist() == [1, 1]
    assert _beside(found, item, cutoff=2).future.ravel().tolist() == [5, 5]
    assert _beside(found, item).past.ravel().tolist() == [1, 1, 1, 5, 5, 5]
    assert _beside(found, item).notes == ()


@pytest.mark.servers
def test_what_was_stored_since_the_cutoff_is_known_to_the_final_forecast_alone(
    context, database, tenant_id
):
    store(database, tenant_id, "weather", [1.0] * 8, now=START - HOUR)
    store(database, tenant_id, "weather", [1.0] * 5 + [2.0] * 3, now=START + 9 * HOUR)
    store(database, tenant_id, "weather", [1.0] * 5 + [3.0] * 3, now=START + 10 * HOUR)
    item, params = _item(6), _params({"series": "weather"})
    found = read_covariates(params, context, item)
    assert _beside(found, item).future.ravel().tolist() == [3, 3]
    assert _beside(found, item, cutoff=4).future.ravel().tolist() == [1, 1]
    read = covariate_reader(params, context, then={"as_of": START + 9 * HOUR})
    assert _beside(read(item), item).future.ravel().tolist() == [2, 2]


@pytest.mark.servers
def test_strict_means_known_only_since_it_was_stored(context, database, tenant_id):
    store(database, tenant_id, "weather", [1.0] * 8, now=START + 3 * HOUR)
    item = _item(6)
    found = read_covariates(
        _params({"series": "weather", "strict": True}), context, item
    )
    assert _beside(found, item, cutoff=3).future.ravel().tolist() == [1, 1]
    with pytest.raises(
        ValueError, match="nothing of the covariate 'weather' was known"
    ):
        _beside(found, item, cutoff=2)


@pytest.mark.servers
def test_each_series_may_have_a_covariate_of_its_own(context, database, tenant_id):
    store(database, tenant_id, "a.price", [1.0] * 5)
    store(database, tenant_id, "b.price", [2.0] * 5)
    params = _params({"name": "price", "series": {"a": "a.price", "b": "b.price"}})
    read = covariate_reader(params, context)
    for unique_id, value in (("a", 1), ("b", 2)):
        item = _item(3, unique_id=unique_id)
        assert _beside(read(item), item).past.ravel().tolist() == [value] * 3
    with pytest.raises(InvalidData, match="names no series for c: add its key"):
        read(_item(3, unique_id="c"))


@pytest.mark.servers
def test_series_that_end_together_share_their_covariates(context, database, tenant_id):
    store(database, tenant_id, "weather", [1.0] * 9)
    read = covariate_reader(_params({"series": "weather"}), context)
    assert read(_item(3))[0] is read(_item(3, unique_id="b"))[0]
    assert read(_item(4))[0] is not read(_item(3))[0]


@pytest.mark.servers
def test_every_covariate_that_is_not_stored_is_named(context, database, tenant_id):
    store(database, tenant_id, "weather", [1.0])
    params = _params(
        {"series": "weather"},
        {"series": "wind"},
        {"name": "price", "series": {"a": "weather", "b": "b.price"}},
    )
    with pytest.raises(InvalidData, match="no series wind") as caught:
        covariate_reader(params, context)
    assert [(one.pointer, one.detail) for one in caught.value.errors] == [
        ("/params/covariates/1/series", "no series wind"),
        ("/params/covariates/2/series/b", "no series b.price"),
    ]


@pytest.mark.servers
def test_a_covariate_of_another_tenant_does_not_exist(
    context, database, tenant_id, other_tenant_id
):
    store(database, other_tenant_id, "weather", [1.0], now=START + timedelta(days=1))
    with pytest.raises(InvalidData, match="no series weather"):
        covariate_reader(_params({"series": "weather"}), context)
