"""Incidents, recommendations and feedback through the API."""

import pytest

from db import feed
from db import series as series_rows
from db.analyses import FoundAnomaly
from tasks.grouping import Grouping
from tasks.incidents import settle
from tests.db.rows import AT
from tests.tasks.sightings import HOUR, anomaly
from tests.web.caller import Caller
from tests.web.grid import audited, pointers

pytestmark = pytest.mark.servers


@pytest.fixture
def happen(database, tenant_id):
    """Let a worker store anomalies of series: ``happen(east=[anomaly(0)])``."""

    def run(seen=None, **found: list[FoundAnomaly]) -> list[str]:
        with database.tenant(tenant_id) as connection:
            keys = sorted({*found, *(seen or {})})
            ids = series_rows.ids(connection, tenant_id=tenant_id, keys=keys, now=AT)
            settled = settle(
                connection,
                tenant_id=tenant_id,
                found={ids[key]: group for key, group in found.items()},
                seen={ids[key]: AT + at * HOUR for key, at in (seen or {}).items()},
                grouping=Grouping(cooldown_s=0),
                now=AT,
            )
        return settled.opened

    return run


@pytest.fixture
def incident(happen) -> str:
    (made,) = happen(east=[anomaly(0, evidence={"value": 9.5, "expected": 4.0})])
    return f"/v1/incidents/{made}"


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["items"]]


def test_an_incident_is_shown_with_its_series_advice_and_history(api, incident):
    found = api.get(incident).json
    assert (found["state"], found["severity"], found["kinds"]) == (
        *("open", "high"),
        ["spike"],
    )
    assert found["series"] == [
        {
            "unique_id": "east",
            "start_at": "2026-03-01T12:00:00Z",
            "last_seen_at": "2026-03-01T13:00:00Z",
            "seen_until": "2026-03-01T13:00:00Z",
        }
    ]
    assert "9.5 where 4 was expected" in found["recommendations"][1]["text"]
    (joined,) = api.get(f"{incident}/anomalies").json["items"]
    assert joined["dedup_key"] == found["dedup_key"]
    assert joined["evidence"] == {"value": 9.5, "expected": 4.0}
    (entry,) = api.get(f"{incident}/events").json["items"]
    assert (entry["kind"], entry["body"]) == (
        "opened",
        {"anomalies": [found["dedup_key"]]},
    )


def test_incidents_are_listed_by_what_they_are(api, happen):
    made = [
        *happen(east=[anomaly(0)]),
        *happen(west=[anomaly(0, kind="dip", severity="low")]),
        *happen(north=[anomaly(48)]),
    ]
    happen(seen={"west": 9})

    def seen(query: str) -> list[int]:
        return [made.index(one) for one in ids(api.get(f"/v1/incidents?{query}"))]

    assert seen("") == [2, 1, 0]
    assert (seen("open=true"), seen("state=resolved")) == ([2, 0], [1])
    assert (seen("min_severity=medium"), seen("kind=dip")) == ([2, 0], [1])
    assert (seen("series=east"), seen("tag=x")) == ([0], [])
    assert seen("from=2026-03-03T00:00:00Z") == [2]
    assert seen("to=2026-03-02T00:00:00Z") == [1, 0]
    page = api.get("/v1/incidents?limit=2").json
    assert len(page["items"]) == 2
    assert seen(f"cursor={page['next_cursor']}") == [0]
    assert pointers(api.get("/v1/incidents?state=gone")) == ["/state"]
    assert pointers(api.get("/v1/incidents?min_severity=3")) == ["/min_severity"]


def test_an_incident_is_acknowledged_commented_and_resolved(api, incident):
    for _ in range(2):
        taken = api.post(f"{incident}/acknowledge").json
        assert (taken["state"], taken["version"]) == ("acknowledged", 2)
        assert taken["acknowledged_by"]
    said = api.post(f"{incident}/comments", json={"text": "a fuse"})
    assert (said.status_code, said.json["body"]) == (201, {"text": "a fuse"})
    for _ in range(2):
        over = api.post(f"{incident}/resolve").json
        assert (over["state"], over["reason"], over["version"]) == (
            *("resolved", "by request"),
            3,
        )
    assert api.post(f"{incident}/acknowledge").status_code == 409
    history = api.get(f"{incident}/events").json["items"]
    assert [one["kind"] for one in history] == [
        *("resolved", "comment", "acknowledged", "opened")
    ]
    newest = api.get(f"{incident}/events?limit=1").json
    rest = api.get(f"{incident}/events?cursor={newest['next_cursor']}").json
    assert len(rest["items"]) == 3
    assert audited(api) == ["incident.resolve", "incident.acknowledge"]


def test_a_comment_is_made_once_for_a_key(api, incident):
    headers = {"Idempotency-Key": "c1"}
    said = [
        api.post(f"{incident}/comments", json={"text": "a fuse"}, headers=headers)
        for _ in range(2)
    ]
    assert said[0].json == said[1].json
    assert said[1].headers["Idempotency-Replayed"] == "true"
    assert pointers(api.post(f"{incident}/comments", json={"text": ""})) == ["/text"]


def test_advice_is_applied_once_and_its_outcome_moves_its_template(api, incident):
    first = api.get(incident).json["recommendations"][0]
    base = f"/v1/recommendations/{first['id']}"
    said = {"outcome": "helped", "note": "it was the fuse"}
    assert api.post(f"{base}/outcome", json=said).status_code == 409
    applied = api.post(f"{base}/apply").json
    assert applied["applied_at"]
    again = api.post(f"{base}/apply")
    assert (again.status_code, again.json["type"]) == (409, "/problems/state-conflict")
    place = f"/v1/recommendation-templates/{applied['template']}"
    assert api.get(place).json["score"] == 0.5
    assert (applied["score"], applied["template_score"]) == (0.5, 0.5)
    noted = api.post(f"{base}/outcome", json=said).json
    assert (noted["outcome"], noted["note"]) == ("helped", "it was the fuse")
    assert (noted["score"], noted["template_score"]) == (0.5, pytest.approx(0.6))
    assert noted["series"] == first["series"]
    assert api.get(place).json["score"] == pytest.approx(0.6)
    assert api.get(place).json["helped"] == 1
    api.post(f"{base}/outcome", json={"outcome": "did_not_help"})
    assert api.get(place).json["score"] == pytest.approx(0.4)
    assert pointers(api.post(f"{base}/outcome", json={"outcome": "yes"})) == [
        "/outcome"
    ]
    assert ids(api.get("/v1/recommendations?applied=true")) == [first["id"]]
    listed = api.get(f"/v1/recommendations?incident={incident.split('/')[-1]}")
    assert len(ids(listed)) == 2
    assert audited(api)[0] == "recommendation.outcome"


def test_templates_are_listed_changed_by_versions_and_checked(api, happen):
    items = api.get("/v1/recommendation-templates").json["items"]
    assert {one["version"] for one in items} == {0}
    assert [one["kind"] for one in items] == sorted(one["kind"] for one in items)
    place = "/v1/recommendation-templates/spike.check"
    body = {"kind": "spike", "text": "Ask the desk about {series}."}
    assert api.put(place, json=body).json["version"] == 1
    assert api.put(place, json={**body, "tag": "load"}).json["version"] == 2
    versions = api.get(f"{place}/versions").json["items"]
    assert [one["version"] for one in versions] == [2, 1, 0]
    assert api.get(place).json["placeholders"] == ["series"]
    mine = "/v1/recommendation-templates/mine"
    assert api.get(mine).status_code == 404
    assert pointers(api.put(mine, json={**body, "text": "{ }"})) == ["/text"]
    typo = api.put(mine, json={**body, "text": "{seres} {vlue} {start}"})
    assert (typo.status_code, pointers(typo)) == (422, ["/text"])
    assert "no anomaly has {seres}, {vlue}; known are {series}," in typo.json["detail"]
    assert pointers(api.put(mine, json={**body, "kind": "A b"})) == ["/kind"]
    assert pointers(api.put(f"{mine}%20", json=body)) == [""]
    assert api.put(mine, json={**body, "text": "Taste it."}).status_code == 200
    (made,) = happen(east=[anomaly(0)])
    told = api.get(f"/v1/incidents/{made}").json["recommendations"]
    assert "Taste it." in [one["text"] for one in told]
    assert audited(api)[0] == "template.put"


def test_feedback_is_given_listed_and_taken_back(api, happen):
    happen(east=[anomaly(0)])
    span = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T13:00:00Z"}
    given = {"series": "east", **span, "label": "expected", "note": "a test"}
    headers = {"Idempotency-Key": "f1"}
    made = api.post("/v1/feedback", json=given, headers=headers)
    assert made.status_code == 201
    again = api.post("/v1/feedback", json=given, headers=headers)
    assert again.json == made.json
    base = made.json["links"]["self"]
    assert made.headers["Location"] == base
    assert (made.json["unique_id"], made.json["kind"]) == ("east", None)
    other = api.post("/v1/feedback", json={**given, "label": "false"}).json
    assert ids(api.get("/v1/feedback?label=false")) == [other["id"]]
    assert ids(api.get("/v1/feedback?series=east")) == [other["id"], made.json["id"]]
    revoked = api.call("DELETE", base).json
    assert revoked["revoked_at"]
    assert api.call("DELETE", base).json == revoked
    assert api.get(base).json == revoked
    assert ids(api.get("/v1/feedback")) == [other["id"]]
    assert len(ids(api.get("/v1/feedback?revoked=true"))) == 2
    assert audited(api) == ["feedback.revoke", "feedback.give", "feedback.give"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"series": "gone"}, ["/series"]),
        ({"label": "maybe"}, ["/label"]),
        ({"to": "2026-03-01T12:00:00Z"}, ["/from"]),
        ({"from": "2026-03-01"}, ["/from"]),
        ({"kind": "A b"}, ["/kind"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
def test_feedback_that_is_not_valid_is_refused_with_the_field(
    api, happen, changes, wanted
):
    happen(east=[anomaly(0)])
    span = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T13:00:00Z"}
    given = {"series": "east", **span, "label": "true"}
    assert pointers(api.post("/v1/feedback", json={**given, **changes})) == wanted


def test_another_tenant_sees_and_changes_nothing(api, other_api, incident):
    found = api.get(incident).json
    advice = f"/v1/recommendations/{found['recommendations'][0]['id']}"
    label = api.post(
        "/v1/feedback",
        json={
            "series": "east",
            "from": "2026-03-01T12:00:00Z",
            "to": "2026-03-01T13:00:00Z",
            "label": "true",
        },
    ).json["links"]["self"]
    calls = [
        ("GET", incident, None),
        ("GET", f"{incident}/anomalies", None),
        ("GET", f"{incident}/events", None),
        ("POST", f"{incident}/acknowledge", None),
        ("POST", f"{incident}/resolve", None),
        ("POST", f"{incident}/comments", {"text": "mine"}),
        ("GET", advice, None),
        ("POST", f"{advice}/apply", None),
        ("POST", f"{advice}/outcome", {"outcome": "helped"}),
        ("GET", label, None),
        ("DELETE", label, None),
    ]
    for method, path, body in calls:
        more = {} if body is None else {"json": body}
        assert other_api.call(method, path, **more).status_code == 404, path
    for path in ("/v1/incidents", "/v1/recommendations", "/v1/feedback"):
        assert ids(other_api.get(path)) == []
    other_api.put(
        "/v1/recommendation-templates/spike.check",
        json={"kind": "spike", "text": "theirs"},
    )
    assert api.get("/v1/recommendation-templates/spike.check").json["version"] == 0
    assert api.get(incident).json == found


def test_a_viewer_reads_and_writes_nothing(app, issue_key, tenant_id, incident):
    viewer = Caller(app, issue_key(tenant_id, role="viewer"))
    assert viewer.get(incident).status_code == 200
    for path in (f"{incident}/acknowledge", f"{incident}/resolve", "/v1/feedback"):
        assert viewer.post(path).status_code == 403


def test_the_feed_tells_of_an_incident_as_it_happens(database, tenant_id, happen):
    with database.tenant(tenant_id) as connection:
        mark = feed.now(connection)
    (made,) = happen(east=[anomaly(0)])
    with database.tenant(tenant_id) as connection:
        found, _ = feed.after(connection, tenant_id=tenant_id, mark=mark)
    (event,) = [one for one, _ in found]
    assert (event.job_id, event.kind) == (None, "incident.opened")
    assert event.body["incident"]["id"] == made
