"""From observations to a message, to what was done, and to what came of it."""

import pytest

from tests.web import samples

pytestmark = pytest.mark.servers

WATCH = {"type": "analysis.watch", "params": {"series": {"tag": "load"}}}


@pytest.fixture
def rung(api) -> str:
    """A rule with a channel, and a series of its tag with a quiet past."""
    api.put("/v1/series/load.east", json={"tags": ["load"], "unit": "MW"})
    given = {"name": "desk", "kind": "slack", "credential": "slack"}
    assert api.post("/v1/channels", json=given).status_code == 422
    hook = {"name": "desk", "kind": "webhook", "config": {"url": "https://1.1.1.1/"}}
    channel = api.post("/v1/channels", json=hook).json["id"]
    rule = {
        "name": "load is odd",
        "tags": ["load"],
        "channels": [channel],
        "max_age_s": 2_678_400,
    }
    return api.post("/v1/alert-rules", json=rule).json["id"]


def observe(api, count: int, **more) -> None:
    body = samples.observations(count, **more)
    answer = api.post("/v1/series/load.east/observations", json=body)
    assert answer.status_code in (200, 201, 202), answer.text


def watch(api, work) -> dict:
    job = api.submit(**WATCH)
    assert work.run(job["id"]) == "succeeded", api.job(job["id"])["error"]
    return api.get(f"/v1/jobs/{job['id']}/result").json


def test_a_spike_becomes_an_incident_with_advice_that_learns(api, work, rung):
    observe(api, 400)
    assert watch(api, work)["incidents"]["opened"] == []
    observe(api, 402, spike_at=401)
    told = watch(api, work)["incidents"]
    (incident,) = told["opened"]
    assert watch(api, work)["incidents"]["opened"] == []
    found = api.get(f"/v1/incidents/{incident}").json
    assert (found["state"], found["tags"], found["kinds"]) == (
        "open",
        ["load"],
        ["spike"],
    )
    advice = api.get(f"/v1/recommendations?incident={incident}").json["items"]
    check = next(one for one in advice if one["template"] == "spike.check")
    assert "was expected" in check["text"]
    api.post(f"{check['links']['self']}/apply")
    api.post(check["links"]["outcome"], json={"outcome": "helped"})
    template = api.get(check["links"]["template"]).json
    assert template["score"] == pytest.approx(0.6)
    observe(api, 420, spike_at=401)
    assert watch(api, work)["incidents"]["resolved"] == [incident]
    assert api.get("/v1/incidents?open=true").json["items"] == []


def test_the_watch_of_old_data_rings_nobody(api, work, rung):
    observe(api, 402, spike_at=401)
    watch(api, work)
    assert api.get(f"/v1/notifications?rule={rung}").json["items"] == []
