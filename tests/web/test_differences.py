"""Series that differ, as a client sees them."""

import pytest

from tests.tasks.series import HOUR, START, store
from tests.web.caller import Caller

pytestmark = pytest.mark.servers

PATH = "/v1/differences"


@pytest.fixture
def compare(api, work, database, tenant_id):
    """Compare b with a: ``compare(b=[100.0, 90.0])``, in a group of a name."""

    def night(*, name="brent", **values: list[float]) -> str:
        for key, given in {"a": [100.0, 100.0], **values}.items():
            store(database, tenant_id, key, given)
        group = {"name": name, "series": ["a", *values]}
        stretch = {"start": START.isoformat(), "end": (START + 9 * HOUR).isoformat()}
        job = api.submit(type="ingest.reconcile", params={"groups": [group], **stretch})
        assert work.run(job["id"]) == "succeeded"
        return job["id"]

    return night


def pairs(answer) -> list[tuple]:
    assert answer.status_code == 200, answer.text
    return [(one["group"], one["other"], one["state"]) for one in answer.json["items"]]


def test_a_pair_is_listed_as_it_was_last_told(api, compare):
    assert pairs(api.get(PATH)) == []
    job_id = compare(b=[100.0, 90.0], c=[100.0, 100.0])
    (one,) = api.get(f"{PATH}?state=open").json["items"]
    assert (one["group"], one["preferred"], one["other"]) == ("brent", "a", "b")
    assert (one["beyond"], one["compared"], one["job_id"]) == (1, 2, job_id)
    assert one["since"].endswith("Z")
    for link in one["links"].values():
        assert api.get(link).status_code == 200
    compare(b=[100.0, 90.0])
    assert api.get(PATH).json["items"] == [one]
    compare(b=[100.0, 100.0])
    assert pairs(api.get(f"{PATH}?state=open")) == []
    assert pairs(api.get(PATH)) == [("brent", "b", "closed")]


def test_pairs_are_filtered_and_paged_the_newest_first(api, compare):
    compare(b=[90.0, 90.0], c=[90.0, 90.0])
    compare(name="other", b=[90.0, 90.0])
    compare(name="third", c=[100.0, 90.0])
    newest = pairs(api.get(PATH))
    assert newest[0] == ("third", "c", "open")
    assert len(newest) == 4
    assert pairs(api.get(f"{PATH}?group=other")) == [("other", "b", "open")]
    assert pairs(api.get(f"{PATH}?group=nothing")) == []
    first = api.get(f"{PATH}?limit=3")
    assert 'rel="next"' in first.headers["Link"]
    rest = api.get(f"{PATH}?limit=3&cursor={first.json['next_cursor']}")
    assert pairs(first) + pairs(rest) == newest


@pytest.mark.parametrize(
    ("query", "status"), [("state=ajar", 422), ("limit=0", 422), ("cursor=x", 400)]
)
def test_a_query_that_means_nothing_is_refused(api, query, status):
    assert api.get(f"{PATH}?{query}").status_code == status


def test_another_tenant_sees_nothing_and_a_viewer_reads(
    api, app, other_api, issue_key, tenant_id, compare
):
    compare(b=[90.0, 90.0])
    assert pairs(other_api.get(PATH)) == []
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert pairs(viewer.get(PATH)) == pairs(api.get(PATH)) == [("brent", "b", "open")]
