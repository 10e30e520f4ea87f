"""Sources that are no HTTP, run whole: folders, SFTP servers, buckets, Singer taps."""

import json
import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.errors import SourceRefused
from tests.sources.bucket import Bucket
from tests.sources.drop import drop, drop_days
from tests.sources.server import serve
from tests.sources.sftp import PASSWORD, USER, serve_folder
from tests.sources.tap import command
from tests.sources.truth import DAY, START, Truth, grid
from tests.tasks.source_runs import at_once, desk

__all__ = ["at_once", "desk"]

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("at_once")]

NIGHT = START + 5 * DAY
SENT = START + 4 * DAY
LAYOUT = {"series_columns": ["series"]}
FILES = {"pattern": "%Y%m%d_load.csv", "layout": LAYOUT}


@pytest.fixture
def truth() -> Truth:
    return Truth(4, starts=grid(START, 60), revised=0.0)


def expected(truth, name="load"):
    return {
        (f"{name}.{series.lower()}", ts): value
        for (series, ts), value in truth.values().items()
    }


def since(**more):
    return {"since": START.isoformat(), **more}


def test_a_folder_that_the_operator_lists_is_read(desk, truth, tmp_path):
    folder = tmp_path / "drop"
    drop_days(folder, truth, SENT)
    desk.settings = replace(desk.settings, source_folders=str(folder))
    desk.source(
        "load", "drop_folder", {**FILES, "base_url": f"file://{folder}/"}, **since()
    )
    result = desk.run("load", now=NIGHT)
    assert (result["state"], desk.stored()) == ("succeeded", expected(truth))


def test_a_folder_that_is_not_listed_is_not_read(desk, truth, tmp_path):
    drop_days(tmp_path / "drop", truth, SENT)
    config = {**FILES, "base_url": f"file://{tmp_path}/drop/"}
    desk.source("load", "drop_folder", config, **since())
    with pytest.raises(SourceRefused, match=r"not_allowed: .* not below a folder"):
        desk.run("load", now=NIGHT, tries=1)


def sftp(desk, served, *, host_key=None, credential="files"):
    config = {
        **FILES,
        "base_url": f"sftp://{served.host}/",
        "host_key": host_key or served.host_key,
    }
    desk.source("load", "drop_folder", config, credential=credential, **since())


def test_an_sftp_server_is_read_with_the_host_key_of_the_config(desk, truth, tmp_path):
    drop_days(tmp_path / "drop", truth, SENT)
    desk.credential("files", user=USER, password=PASSWORD)
    with serve_folder(tmp_path / "drop") as served:
        sftp(desk, served)
        result = desk.run("load", now=NIGHT)
        again = desk.run("load", now=NIGHT)
    assert (result["state"], desk.stored()) == ("succeeded", expected(truth))
    assert (again["written"], again["revised"]) == (0, 0)


def test_an_sftp_server_with_another_key_is_told_nothing(desk, truth, tmp_path):
    drop_days(tmp_path / "drop", truth, SENT)
    desk.credential("files", user=USER, password=PASSWORD)
    with serve_folder(tmp_path / "drop") as served:
        sftp(desk, served, host_key="SHA256:" + "A" * 43)
        with pytest.raises(SourceRefused, match=r"not_allowed: .*host key") as caught:
            desk.run("load", now=NIGHT, tries=3)
    assert served.logins == 0
    assert caught.value.why == "not_allowed"


def test_a_private_sftp_server_has_to_be_on_the_list_of_hosts(desk, truth, tmp_path):
    drop_days(tmp_path / "drop", truth, SENT)
    desk.credential("files", user=USER, password=PASSWORD)
    desk.settings = replace(desk.settings, source_hosts="")
    with serve_folder(tmp_path / "drop") as served:
        sftp(desk, served)
        with pytest.raises(SourceRefused, match="FOREBAY_SOURCE_HOSTS"):
            desk.run("load", now=NIGHT, tries=3)
    assert served.connections == []


def test_a_bucket_is_read_where_the_config_says_that_it_is(desk, truth):
    bucket = Bucket(most=2)
    bucket.put_days(truth, SENT)
    desk.credential("keys", access_key="AKFAKE", secret_key="a-fake-secret")
    with serve(bucket) as served:
        config = {
            "bucket": "b-1",
            "prefix": "load/",
            "pattern": "load/%Y/%m/%d.csv",
            "layout": LAYOUT,
            "endpoint": served.url,
            "region": "eu-central-1",
        }
        desk.source("load", "s3_objects", config, credential="keys", **since())
        result = desk.run("load", now=NIGHT)
        signed = {call.headers["authorization"] for call in served.calls}
    assert (result["state"], desk.stored()) == ("succeeded", expected(truth))
    assert all("/eu-central-1/s3/" in one for one in signed)


def tap(desk, tmp_path, truth, *, credential="tap"):
    path = tmp_path / "rows.json"
    told = [
        {"zone": name, "ts": f"{ts:%Y-%m-%dT%H:%M:%SZ}", "value": value}
        for name, ts, value in truth.rows()
    ]
    path.write_text(json.dumps(told), encoding="utf-8")
    config = {
        "tap": "tap-load",
        "stream": "load",
        "layout": {"series_columns": ["zone"]},
        "settings": {"api_key": "{secret:api_key}", "rows": str(path)},
        "end_setting": "end_date",
    }
    desk.source("load", "singer_tap", config, credential=credential, **since())


def test_a_tap_that_the_operator_lists_is_run(desk, truth, tmp_path):
    listed = f"tap-x=/bin/false; tap-load={shlex.join(command())}"
    desk.settings = replace(desk.settings, source_commands=listed)
    desk.credential("tap", api_key="a-fake-key-of-a-tap")
    tap(desk, tmp_path, truth)
    result = desk.run("load", now=NIGHT)
    assert (result["state"], desk.stored()) == ("succeeded", expected(truth))


def test_a_tap_that_is_not_listed_is_not_run(desk, truth, tmp_path):
    desk.credential("tap", api_key="a-fake-key-of-a-tap")
    tap(desk, tmp_path, truth)
    with pytest.raises(SourceRefused, match="no tap 'tap-load' is listed"):
        desk.run("load", now=NIGHT, tries=2)


@pytest.mark.parametrize("tenants", ["", "@another"])
def test_a_tap_that_is_listed_for_others_is_not_run(
    desk, truth, tmp_path, other_tenant_id, tenants
):
    assert other_tenant_id
    listed = f"tap-load{tenants}={shlex.join(command())}"
    desk.settings = replace(desk.settings, source_commands=listed)
    desk.credential("tap", api_key="a-fake-key-of-a-tap")
    tap(desk, tmp_path, truth)
    with pytest.raises(SourceRefused, match="is listed for this tenant"):
        desk.run("load", now=NIGHT, tries=2)
    assert desk.stored() == {}


def test_files_that_came_later_are_read_the_night_after(desk, truth, tmp_path):
    folder = tmp_path / "drop"
    half = Truth(4, starts=grid(START, 24), revised=0.0)
    drop_days(folder, half, SENT)
    desk.settings = replace(desk.settings, source_folders=str(folder))
    config = {**FILES, "base_url": f"file://{folder}/"}
    desk.source("load", "drop_folder", config, **since())
    desk.run("load", now=NIGHT)
    drop_days(folder, truth, NIGHT + timedelta(hours=1))
    desk.run("load", now=NIGHT + DAY)
    assert desk.stored() == expected(truth)


def test_a_file_counts_as_whole_once_it_looks_the_same_twice(desk, truth, tmp_path):
    folder = tmp_path / "drop"
    drop_days(folder, truth, SENT)
    desk.settings = replace(desk.settings, source_folders=str(folder))
    config = {**FILES, "base_url": f"file://{folder}/", "ready": "twice"}
    desk.source("load", "drop_folder", config, **since())
    first = desk.run("load", now=NIGHT)
    assert (first["written"], desk.stored()) == (0, {})
    drop_days(folder, truth, SENT + timedelta(hours=1))
    assert desk.run("load", now=NIGHT)["written"] == 0
    desk.run("load", now=NIGHT)
    assert desk.stored() == expected(truth)


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_loaded(
    desk, truth, tmp_path
):
    folder = tmp_path / "drop"
    drop_days(folder, truth, SENT)
    drop(folder, "20260104_load.csv", b"\xff\xfe no text", SENT)
    desk.settings = replace(desk.settings, source_folders=str(folder))
    config = {**FILES, "base_url": f"file://{folder}/"}
    desk.source("load", "drop_folder", config, **since())
    result = desk.run("load", now=NIGHT)
    assert (result["state"], result["rejected"]) == ("succeeded", 1)
    assert desk.stored() == expected(truth)
    assert desk.rows("SELECT code FROM quarantine") == [("malformed_file",)]


def test_a_folder_of_another_tenant_is_not_read(desk, truth, tmp_path):
    desk.settings = replace(desk.settings, source_folders=f"{tmp_path}/{{tenant}}")
    own = tmp_path / str(desk.tenant_id)
    other = tmp_path / str(desk.tenant_id + 1)
    for name, folder in (("own", own), ("other", other)):
        drop_days(folder, truth, SENT)
        config = {**FILES, "base_url": f"file://{folder}/"}
        desk.source(name, "drop_folder", config, **since())
    desk.run("own", now=NIGHT)
    with pytest.raises(SourceRefused, match="not below a folder"):
        desk.run("other", now=NIGHT)
    assert desk.stored() == expected(truth, "own")
