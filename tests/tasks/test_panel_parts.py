"""How a panel is split: what stays together, and what each part is told."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import panel_parts
from tasks.catalog import job_types
from tasks.forecast import ForecastParams
from tasks.panel_parts import together
from tests.fakes import FakeContext
from tests.tasks.series import HOUR, START, store

SPLIT = job_types()["forecast.run"].parts.split

_keyed = st.lists(st.sampled_from(["north", "south", "east", None]), max_size=60).map(
    lambda groups: [(f"s{number}", group) for number, group in enumerate(groups)]
)


@given(_keyed, st.integers(1, 9), st.integers(9, 12))
def test_every_key_is_in_one_part(named, size, most):
    parts = together(named, size=size, most=most)
    assert sorted(key for part in parts for key in part) == sorted(
        key for key, _ in named
    )
    assert all(parts)


@given(_keyed, st.integers(1, 9), st.integers(9, 12))
def test_a_group_that_fits_is_in_one_part(named, size, most):
    place = {
        key: number
        for number, part in enumerate(together(named, size=size, most=most))
        for key in part
    }
    for group in ("north", "south", "east"):
        members = [key for key, one in named if one == group]
        pieces = {place[key] for key in members}
        assert len(pieces) <= max(1, -(-len(members) // most))


@given(_keyed, st.integers(1, 9), st.integers(9, 12))
def test_a_part_is_larger_than_asked_only_for_a_group_of_its_own(named, size, most):
    groups = dict(named)
    for part in together(named, size=size, most=most):
        assert len(part) <= most
        if len(part) > size:
            assert len({groups[key] for key in part}) == 1
            assert groups[part[0]] is not None


@given(st.integers(1, 500), st.integers(1, 60))
def test_keys_without_a_group_are_split_by_number(count, size):
    keys = [f"s{number}" for number in range(count)]
    assert together([(key, None) for key in keys], size=size) == [
        keys[first : first + size] for first in range(0, count, size)
    ]


def test_a_group_that_fits_nowhere_is_cut_evenly():
    parts = together([(str(at), "g") for at in range(25)], size=5, most=10)
    assert [len(part) for part in parts] == [8, 8, 9]


def _params(**given) -> ForecastParams:
    return ForecastParams.model_validate(
        {"horizon": 2, "model": "naive", "panel": 2, **given}
    )


@pytest.fixture
def context(database, tenant_id) -> FakeContext:
    return FakeContext(tenant_id=tenant_id, database=database)


@pytest.fixture
def kept(database, tenant_id) -> list[str]:
    """Five series, three of them with a region among their tags."""
    tags = {"a": "region:north", "b": "region=south", "d": "region:north"}
    for number, key in enumerate("abcde"):
        store(
            database,
            tenant_id,
            key,
            [1.0, 2.0, 3.0 + number],
            now=START + timedelta(days=300 + number),
            tags=["all", "other", *filter(None, [tags.get(key)])],
        )
    return [*"abcde"]


def _keys(parts) -> list[list[str]]:
    return [part.series for part in parts]


@pytest.mark.servers
def test_a_tag_keeps_its_series_together(context, kept):
    parts = SPLIT(_params(series={"tag": "all"}, group_by="region"), context)
    assert _keys(parts) == [["a", "d"], ["b", "c"], ["e"]]


@pytest.mark.servers
def test_an_attribute_goes_before_a_tag(context, kept):
    attributes = {key: {"region": "west"} for key in "aec"} | {"b": {"size": "s"}}
    params = _params(series=kept, group_by="region", attributes=attributes, panel=3)
    parts = SPLIT(params, context)
    assert _keys(parts) == [["a", "c", "e"], ["b", "d"]]
    assert [sorted(part.attributes) for part in parts] == [["a", "c", "e"], ["b"]]


@pytest.mark.servers
def test_by_default_the_number_alone_decides(context, kept):
    parts = SPLIT(_params(series={"tag": "all"}), context)
    assert _keys(parts) == [["a", "b"], ["c", "d"], ["e"]]
    assert {part.span for part in parts} == {None}


@pytest.mark.servers
def test_a_part_has_what_is_known_of_its_own_series_only(context, kept):
    rows = [
        {"unique_id": key, "ds": START.isoformat(), "value": 1.0}
        for key in ("a", "e", None)
    ]
    sources = [
        {"name": "own", "series": dict.fromkeys("abd", "other")},
        {"name": "rows", "rows": rows},
        {"name": "for one", "rows": rows[1:2]},
    ]
    parts = SPLIT(_params(series=kept, covariates=sources), context)
    assert [sorted(part.covariates[0].series) for part in parts] == [
        ["a", "b"],
        ["d"],
        ["a"],  # it names at least one
    ]
    named = [[row.unique_id for row in part.covariates[1].rows] for part in parts]
    assert named == [[None, "a"], [None], [None, "e"]]
    assert [len(part.covariates[2].rows) for part in parts] == [1, 1, 1]
    for part in parts:  # as a worker reads it
        assert ForecastParams.model_validate_json(part.model_dump_json()) == part


@pytest.mark.servers
@pytest.mark.parametrize("fill", [{"front": "zero"}, {"back": "zero"}])
def test_fill_rules_reach_to_the_ends_of_the_whole_panel(
    context, database, tenant_id, kept, fill
):
    store(database, tenant_id, "f", [float(at) for at in range(30)])
    params = _params(series=[*kept, "f"], fill=fill)
    span = (START, START + 29 * HOUR)
    assert {part.span for part in SPLIT(params, context)} == {span}
    own = (START - HOUR, START + HOUR)
    stated = params.model_copy(update={"span": own})
    assert {part.span for part in SPLIT(stated, context)} == {own}


@pytest.mark.servers
def test_a_hundred_thousand_series_are_split_at_once(context, monkeypatch):
    class Row:
        tags = ("all", "region:north")

        def __init__(self, number):
            self.id, self.key = number, f"s{number}"

    chosen = [Row(number) for number in range(100_000)]
    params = _params(series={"tag": "all"}, panel=250)
    parts = panel_parts.split_panel(params, chosen, context, size=250, group_by="city")
    assert len(parts) == 400
    assert max(len(part.model_dump_json()) for part in parts) < 10_000
