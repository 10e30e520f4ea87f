"""What was read of a source, through the API."""

import pytest

from db import quarantine, sources
from db.quarantine import Load, Refused
from tests.db.rows import AT
from tests.tasks.shelf import shelf
from tests.web.grid import BASE, audited, create, read

__all__ = ["read", "shelf"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("shelf")]


def test_what_was_read_is_listed(api, read):
    create(api)
    read()
    (run,) = api.get(f"{BASE}/grid/runs").json["items"]
    assert (run["state"], run["partition_id"]) == ("partial", "p1")
    (window,) = api.get(f"{BASE}/grid/windows").json["items"]
    assert (window["partition_id"], window["state"]) == ("p1", "done")
    assert window["start_at"] == "2026-03-01T12:00:00Z"
    assert api.get(f"{BASE}/grid/windows?state=failed").json["items"] == []
    (series,) = api.get(f"{BASE}/grid/series").json["items"]
    assert (series["local_key"], series["key"]) == ("pjm", "grid.pjm")
    assert series["watermark"] == "2026-03-01T12:00:00Z"
    assert series["freshness"] is None
    assert api.get(series["links"]["series"]).status_code == 200
    assert api.get(f"{BASE}/grid/series?freshness=dead").json["items"] == []
    (held,) = api.get(f"{BASE}/grid/quarantine?state=held").json["items"]
    assert (held["code"], held["row_no"], held["seen"]) == ("bad_value", 7, 1)
    shown = api.get(f"{BASE}/grid").json
    assert shown["freshness"] == {"unknown": 1}
    assert shown["windows"] == {"done": 1}
    assert shown["quarantined"] == {"bad_value": 1}


def test_the_quarantine_comes_in_pages(api, read, database, tenant_id):
    create(api)
    read()
    with database.tenant(tenant_id) as connection:
        owner = sources.find_by_name(connection, tenant_id=tenant_id, name="grid")
        quarantine.add(
            connection,
            tenant_id=tenant_id,
            load=Load(source_id=owner.id, partition_id="p2", run_id="r"),
            refused=[
                Refused(row_no=number, code="bad_time", detail="x", row=str(number))
                for number in range(4)
            ],
            now=AT,
        )
    path = f"{BASE}/grid/quarantine?limit=2"
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{path}{cursor and f'&cursor={cursor}'}").json
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5
    assert len(api.get(f"{BASE}/grid/quarantine?partition=p2").json["items"]) == 4
    assert api.get(f"{path}&cursor=x").status_code == 400


def test_the_quarantine_says_which_run_brought_a_good_row_instead(
    api, read, database, tenant_id
):
    create(api)
    read()
    with database.tenant(tenant_id) as connection:
        owner = sources.find_by_name(connection, tenant_id=tenant_id, name="grid")
        load = Load(source_id=owner.id, partition_id="p1", run_id="run_9")
        quarantine.settle(
            connection, tenant_id=tenant_id, load=load, state="superseded"
        )
    (one,) = api.get(f"{BASE}/grid/quarantine?state=superseded").json["items"]
    assert (one["state"], one["resolved_by"]) == ("superseded", "run_9")
    assert (one["series_key"], one["ts"]) == (None, None)
    assert api.get(f"{BASE}/grid").json["quarantined"] == {}


def test_held_rows_are_discarded_by_id_or_partition(api, read):
    create(api)
    read()
    path = f"{BASE}/grid/quarantine"
    (held,) = api.get(path).json["items"]
    gone = api.post(f"{path}/discard", json={"partition": "p9"}).json
    assert gone == {"discarded": 0}
    gone = api.post(f"{path}/discard", json={"ids": [held["id"]]}).json
    assert gone == {"discarded": 1}
    assert api.get(path).json["items"][0]["state"] == "discarded"
    assert api.get(f"{BASE}/grid").json["quarantined"] == {}
    assert audited(api)[0] == "source.quarantine.discard"


def test_held_rows_are_replayed_where_there_are_any(api, read):
    create(api)
    path = f"{BASE}/grid/quarantine/replay"
    assert api.post(path, json={}).status_code == 409
    read()
    assert api.post(path, json={"partition": "p9"}).status_code == 409
    job = api.post(path, json={"partition": "p1"}).json
    assert job["type"] == "ingest.replay"
    assert (job["params"]["partition"], job["params"]["quarantined"]) == ("p1", True)
