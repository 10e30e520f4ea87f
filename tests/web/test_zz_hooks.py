import pytest, socket, uuid
from tests.db import rows
from db import line, parts, webhooks
pytestmark = pytest.mark.servers

def test_get_is_500(api, database, tenant_id):
    job = rows.queued(database, tenant_id)
    with database.system() as c:
        line.take(c, queue="system", queues=["system"], limit=64, share=.25)
        rows.claim(database, job); rows.give_back(database, job, delay_s=30)
        a = api.get(f"/v1/jobs/{job}")
        assert a.status_code == 200, a.text

def test_idempotent_create_when_dns_is_away(api, monkeypatch):
    import tasks.addresses as ad, web.routes.webhooks as w
    key = {"Idempotency-Key": uuid.uuid4().hex}
    a = api.post("/v1/webhooks", json={"url": "https://93.184.215.14/h"}, headers=key)
    assert a.status_code == 201
    def away(*x, **k): raise ad.Unresolved("the host has no address")
    monkeypatch.setattr(w, "target", away)
    b = api.post("/v1/webhooks", json={"url": "https://93.184.215.14/h"}, headers=key)
    assert b.status_code == 201, b.text

def test_replay_route_idempotency_key(api, database, tenant_id):
    for _ in range(2):
        j = rows.running(database, tenant_id); rows.finish(database, j, state="failed", reason="x", error={"title": "t"})
    key = {"Idempotency-Key": uuid.uuid4().hex}
    a = api.post("/v1/jobs/replay", json={"limit": 1}, headers=key)
    b = api.post("/v1/jobs/replay", json={"limit": 1}, headers=key)
    assert b.json == a.json, (a.json, b.json)

def test_batch_edges(api):
    first = [{"type": "system.echo", "params": {"payload": {}}, "ref": str(i)} for i in range(500)]
    second = [{"type": "system.echo", "params": {"payload": {}}, "after": [str(k) for k in range(500)]} for i in range(500)]
    a = api.post("/v1/jobs/batch", json={"jobs": first + second})
    print(a.status_code, a.json["accepted"])
    assert a.json["accepted"] < 1000
