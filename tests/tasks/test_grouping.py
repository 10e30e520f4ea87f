"""The rules of incidents, held against a slow reference and without a database."""

from datetime import timedelta
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.cases import Cases, Known
from tasks.grouping import Case, Grouping, Sighted, worst
from tests.db.rows import AT

HOUR = timedelta(hours=1)
TAGS = {1: ("a",), 2: ("a", "b"), 3: ("b",), 4: ()}
# Without a cooldown and a recovery nothing but time and tags decides.
PLAIN = Grouping(join_s=3_600, recover_s=10**9, cooldown_s=0)

spots = st.lists(
    st.tuples(st.sampled_from(sorted(TAGS)), st.integers(0, 30)),
    max_size=12,
    unique=True,
)


def sighted(series_id: int, at: float, *, kind="spike", hours=1.0) -> Sighted:
    start = AT + at * HOUR
    return Sighted(
        series_id,
        f"s{series_id}",
        TAGS[series_id],
        start,
        start + hours * HOUR,
        kind,
        "high",
        0.9,
        "",
    )


def run(batches: list[list[Sighted]], grouping: Grouping = PLAIN) -> list[Case]:
    """Let anomalies come in batches, each time with all there was before."""
    cases = Cases([], [], grouping=grouping, seen={}, now=AT)
    for batch in batches:
        cases.take(batch)
    return [one for one in cases.all if one.merged_into is None]


def shape(cases: list[Case]) -> set[tuple]:
    return {
        (one.start_at, one.last_seen_at, one.anomalies, frozenset(one.stays))
        for one in cases
    }


def naive(found: list[Sighted]) -> set[tuple]:
    """Join whatever two groups are near and share a series or a tag, until none are."""
    groups = [[one] for one in found]

    def near(a: list[Sighted], b: list[Sighted]) -> bool:
        tags = [{t for one in g for t in one.tags} for g in (a, b)]
        series = [{one.series_id for one in g} for g in (a, b)]
        spans = [
            (min(one.start_at for one in g), max(one.end_at for one in g))
            for g in (a, b)
        ]
        apart = max(spans[0][0], spans[1][0]) - min(spans[0][1], spans[1][1])
        shared = bool(tags[0] & tags[1] or series[0] & series[1])
        return shared and apart <= HOUR

    while True:
        pair = next(
            ((a, b) for a in groups for b in groups if a is not b and near(a, b)),
            None,
        )
        if pair is None:
            break
        groups = [one for one in groups if one is not pair[0] and one is not pair[1]]
        groups.append(pair[0] + pair[1])
    return {
        (
            min(one.start_at for one in g),
            max(one.end_at for one in g),
            len(g),
            frozenset(one.series_id for one in g),
        )
        for g in groups
    }


@settings(deadline=None, max_examples=150)
@given(spots)
def test_incidents_are_the_groups_of_what_is_near_and_shares_something(found):
    anomalies = [sighted(*one) for one in _apart(found)]
    assert shape(run([anomalies])) == naive(anomalies)


@settings(deadline=None, max_examples=150)
@given(spots, st.randoms(use_true_random=False))
def test_in_which_order_they_come_does_not_matter(found, random):
    anomalies = [sighted(*one) for one in _apart(found)]
    at_once = shape(run([anomalies]))
    random.shuffle(anomalies)
    assert shape(run([[one] for one in anomalies])) == at_once


@settings(deadline=None, max_examples=100)
@given(spots)
def test_the_same_again_changes_nothing(found):
    anomalies = [sighted(*one) for one in found]
    cases = Cases([], [], grouping=PLAIN, seen={}, now=AT)
    cases.take(anomalies)
    before = shape(cases.all)
    for case in cases.all:
        case.news.clear()
        case.joined.clear()
    cases.take(anomalies)
    assert shape(cases.all) == before
    assert [one.news for one in cases.all if one.news] == []
    assert [one.joined for one in cases.all if one.joined] == []


def _apart(found: list[tuple[int, int]]) -> list[tuple[int, float]]:
    """Two anomalies of a kind in one series that overlap would be the same one."""
    return [(series_id, at * 1.0) for series_id, at in found]


BRIEF = Grouping(join_s=3_600, recover_s=7_200, cooldown_s=4 * 3_600)


def told(found, *, at_once: bool):
    seen = dict.fromkeys(TAGS, AT + 999 * HOUR)
    cases = Cases([], [], grouping=BRIEF, seen=seen, now=AT)
    anomalies = sorted(
        (sighted(*one) for one in found), key=lambda one: (one.start_at, one.dedup_key)
    )
    for batch in [anomalies] if at_once else [[one] for one in anomalies]:
        cases.take(batch)
    assert all(one.state == "resolved" for one in cases.all)
    return shape([one for one in cases.all if one.merged_into is None])


@settings(deadline=None, max_examples=100)
@given(spots, st.booleans())
def test_what_is_forgotten_on_the_way_could_not_have_mattered(found, at_once):
    usual = told(found, at_once=at_once)
    with patch("tasks.cases._is_past", return_value=False):
        assert told(found, at_once=at_once) == usual


def test_a_thousand_incidents_of_one_series_are_no_million_of_comparisons(monkeypatch):
    compared = []
    for owner, name in ((Case, "reaches"), (Case, "over_by"), (Known, "is_same")):
        whole = getattr(owner, name)

        def counting(*given, whole=whole, **named):
            compared.append(whole.__name__)
            return whole(*given, **named)

        monkeypatch.setattr(owner, name, counting)
    found = [(1, 24.0 * number) for number in range(1_000)]
    cases = Cases([], [], grouping=BRIEF, seen={1: AT + 99_999 * HOUR}, now=AT)
    cases.take([sighted(*one) for one in found])
    assert len(cases.all) == 1_000
    assert len(compared) <= 5 * len(found)


def test_the_worst_of_severities_is_not_the_last_in_the_alphabet():
    assert worst(["medium", "critical", "low", "high"]) == "critical"


def test_what_was_stored_of_a_grouping_comes_back():
    given_ = Grouping(join_s=60, recover_s=60, cooldown_s=0, by="tag", tags=("a",))
    stored = {**vars(given_), "tags": ["a"], "more": 1}
    assert Grouping.of(stored) == given_
