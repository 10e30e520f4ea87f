"""The OpenAPI document says what the API does; test_*.py hold every answer to it."""

import json
import re
from pathlib import Path

import openapi_spec_validator
import pytest

from tests.web.caller import Caller
from tests.web.promise import Promise

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]
CALLS = {
    ("post", "/v1/jobs"),
    ("get", "/v1/jobs"),
    ("post", "/v1/jobs/batch"),
    ("get", "/v1/jobs/{job_id}"),
    ("get", "/v1/jobs/{job_id}/result"),
    ("get", "/v1/jobs/{job_id}/forecasts"),
    ("get", "/v1/jobs/{job_id}/events"),
    ("get", "/v1/jobs/{job_id}/chart"),
    ("post", "/v1/jobs/{job_id}/cancel"),
    ("post", "/v1/jobs/{job_id}/retry"),
    ("get", "/v1/jobs/{job_id}/parts"),
    ("post", "/v1/jobs/replay"),
    ("get", "/v1/events"),
    ("get", "/v1/audit"),
    ("get", "/v1/queues"),
    ("post", "/v1/queues/{queue}/pause"),
    ("post", "/v1/queues/{queue}/resume"),
    ("get", "/v1/schedules"),
    ("post", "/v1/schedules"),
    ("get", "/v1/schedules/{schedule_id}"),
    ("patch", "/v1/schedules/{schedule_id}"),
    ("delete", "/v1/schedules/{schedule_id}"),
    ("post", "/v1/schedules/{schedule_id}/pause"),
    ("post", "/v1/schedules/{schedule_id}/resume"),
    ("post", "/v1/schedules/{schedule_id}/run"),
    ("get", "/v1/schedules/{schedule_id}/firings"),
    ("get", "/v1/connectors"),
    ("get", "/v1/connectors/{name}"),
    ("get", "/v1/credentials"),
    ("put", "/v1/credentials/{name}"),
    ("delete", "/v1/credentials/{name}"),
    ("get", "/v1/sources"),
    ("post", "/v1/sources"),
    ("get", "/v1/sources/{name}"),
    ("patch", "/v1/sources/{name}"),
    ("delete", "/v1/sources/{name}"),
    ("post", "/v1/sources/{name}/enable"),
    ("post", "/v1/sources/{name}/pause"),
    ("post", "/v1/sources/{name}/test"),
    ("post", "/v1/sources/{name}/preview"),
    ("post", "/v1/sources/{name}/run"),
    ("post", "/v1/sources/{name}/backfill"),
    ("post", "/v1/sources/{name}/replay"),
    ("post", "/v1/sources/{name}/quarantine/replay"),
    ("post", "/v1/sources/{name}/quarantine/discard"),
    ("get", "/v1/sources/{name}/runs"),
    ("get", "/v1/sources/{name}/windows"),
    ("get", "/v1/sources/{name}/series"),
    ("get", "/v1/sources/{name}/quarantine"),
    ("get", "/v1/differences"),
    ("get", "/v1/job-types"),
    ("get", "/v1/series"),
    ("get", "/v1/series/{key}"),
    ("put", "/v1/series/{key}"),
    ("post", "/v1/series/{key}/observations"),
    ("get", "/v1/series/{key}/observations"),
    ("get", "/v1/series/{key}/history"),
    ("get", "/v1/series/{key}/issues"),
    ("get", "/v1/observations"),
    ("get", "/v1/series/{key}/forecasts"),
    ("get", "/v1/series/{key}/anomalies"),
    ("get", "/v1/series/{key}/scores"),
    ("get", "/v1/drift"),
    ("get", "/v1/drift/{finding_id}"),
    ("get", "/v1/incidents"),
    ("get", "/v1/incidents/{incident_id}"),
    ("get", "/v1/incidents/{incident_id}/anomalies"),
    ("get", "/v1/incidents/{incident_id}/events"),
    ("get", "/v1/incidents/{incident_id}/chart"),
    ("post", "/v1/incidents/{incident_id}/acknowledge"),
    ("post", "/v1/incidents/{incident_id}/resolve"),
    ("post", "/v1/incidents/{incident_id}/comments"),
    ("post", "/v1/channels"),
    ("get", "/v1/channels"),
    ("get", "/v1/channels/{channel_id}"),
    ("patch", "/v1/channels/{channel_id}"),
    ("delete", "/v1/channels/{channel_id}"),
    ("post", "/v1/channels/{channel_id}/test"),
    ("post", "/v1/alert-rules"),
    ("get", "/v1/alert-rules"),
    ("get", "/v1/alert-rules/{rule_id}"),
    ("patch", "/v1/alert-rules/{rule_id}"),
    ("delete", "/v1/alert-rules/{rule_id}"),
    ("post", "/v1/alert-rules/{rule_id}/test"),
    ("get", "/v1/notifications"),
    ("get", "/v1/recommendation-templates"),
    ("get", "/v1/recommendation-templates/{name}"),
    ("get", "/v1/recommendation-templates/{name}/versions"),
    ("put", "/v1/recommendation-templates/{name}"),
    ("get", "/v1/recommendations"),
    ("get", "/v1/recommendations/{recommendation_id}"),
    ("post", "/v1/recommendations/{recommendation_id}/apply"),
    ("post", "/v1/recommendations/{recommendation_id}/outcome"),
    ("post", "/v1/feedback"),
    ("get", "/v1/feedback"),
    ("get", "/v1/feedback/{feedback_id}"),
    ("delete", "/v1/feedback/{feedback_id}"),
    ("post", "/v1/uploads"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{name}"),
    ("get", "/v1/models/{name}/versions"),
    ("get", "/v1/models/{name}/versions/{version}"),
    ("get", "/v1/models/{name}/versions/{version}/artifact"),
    ("get", "/v1/models/{name}/history"),
    ("post", "/v1/models/{name}/promote"),
    ("post", "/v1/models/{name}/rollback"),
    ("post", "/v1/webhooks"),
    ("get", "/v1/webhooks"),
    ("get", "/v1/webhooks/{webhook_id}"),
    ("patch", "/v1/webhooks/{webhook_id}"),
    ("delete", "/v1/webhooks/{webhook_id}"),
    ("post", "/v1/webhooks/{webhook_id}/rotate"),
    ("post", "/v1/webhooks/{webhook_id}/test"),
    ("get", "/v1/webhooks/{webhook_id}/deliveries"),
    ("get", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}"),
    ("post", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend"),
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/metrics"),
}


BODILESS = (
    *("/cancel", "/retry", "/rotate", "/test", "/resend", "/pause", "/resume", "/run"),
    *("/enable", "/acknowledge", "/resolve", "/apply"),
)


@pytest.fixture
def spec(app) -> dict:
    return Promise(app).spec


def operations(spec: dict) -> dict[tuple[str, str], dict]:
    return {
        (method, path): operation
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_is_valid_openapi_3_1(spec):
    assert spec["openapi"].startswith("3.1")
    openapi_spec_validator.validate(spec)


def test_no_text_is_quoted_as_only_docstrings_are(spec):
    assert "``" not in json.dumps(spec)
    summaries = [one["summary"] for one in operations(spec).values()]
    assert not any("`" in text for text in summaries)


def test_the_document_describes_exactly_the_calls_there_are(spec, app):
    served = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1/")
    }
    described = set(operations(spec))
    assert served <= described
    assert described == CALLS


def test_every_operation_tells_its_security_its_problems_and_what_it_does(spec):
    for (method, path), operation in operations(spec).items():
        wanted = [{"key": []}] if path.startswith("/v1/") else []
        assert operation["security"] == wanted, path
        problem = operation["responses"]["default"]["content"]
        assert problem["application/problem+json"]["schema"]["$ref"].endswith("Problem")
        assert operation["summary"], (method, path)
    assert spec["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_operation_has_an_id_of_its_own(spec):
    ids = [operation["operationId"] for operation in operations(spec).values()]
    assert len(ids) == len(set(ids))


def test_every_success_says_in_which_forms_it_comes(spec):
    for call, operation in operations(spec).items():
        for status, answer in operation["responses"].items():
            if status in ("200", "201", "202"):
                assert answer["content"], call
                schema = answer["content"].get("application/json", {"schema": True})
                assert schema["schema"], call


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("post", "/v1/jobs", "Idempotency-Key"),
        ("post", "/v1/jobs", "Prefer"),
        ("post", "/v1/jobs", "traceparent"),
        ("post", "/v1/jobs/batch", "Idempotency-Key"),
        ("post", "/v1/jobs/replay", "Idempotency-Key"),
        ("post", "/v1/jobs/{job_id}/retry", "Idempotency-Key"),
        ("post", "/v1/uploads", "Idempotency-Key"),
        ("post", "/v1/webhooks", "Idempotency-Key"),
        ("post", "/v1/sources", "Idempotency-Key"),
        ("post", "/v1/sources/{name}/test", "Prefer"),
        ("get", "/v1/jobs/{job_id}", "If-None-Match"),
        ("get", "/v1/jobs/{job_id}", "Prefer"),
        ("get", "/v1/jobs/{job_id}/events", "Last-Event-ID"),
    ],
)
def test_every_header_of_the_contract_is_described(spec, method, path, header):
    parameters = operations(spec)[method, path]["parameters"]
    assert header in {one["name"] for one in parameters if one["in"] == "header"}


def test_every_body_is_described(spec):
    for (method, path), operation in operations(spec).items():
        bodiless = path.endswith(BODILESS)
        if method in ("post", "put") and not bodiless:
            assert operation["requestBody"]["content"], path


def test_a_body_is_optional_exactly_where_the_call_can_be_made_without_one(spec, app):
    def may_be_left_out(rule) -> bool:
        view = app.view_functions[rule.endpoint]
        return getattr(view, "body_optional", False)

    served = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if may_be_left_out(rule)
    }
    described = {
        path
        for (_, path), operation in operations(spec).items()
        if operation.get("requestBody", {}).get("required") is False
    }
    assert served == described


def test_every_job_type_has_its_params_in_the_document(spec, api):
    schemas = spec["components"]["schemas"]
    for kind in api.get("/v1/job-types").json["items"]:
        title = kind["params"]["title"]
        assert set(schemas[title]["properties"]) == set(kind["params"]["properties"])


def test_the_pages_of_the_documentation_are_served(app):
    stranger = Caller(app, None)
    page = stranger.get("/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) >= 3
    for address in named:
        with stranger.get(address) as asset:
            assert asset.status_code == 200, address
            assert asset.data
    assert stranger.get("/openapi.json").mimetype == "application/json"


@pytest.mark.parametrize("name", ["../__init__.py", "..%2f__init__.py", "%2e%2e/x", ""])
def test_no_other_file_is_served_as_an_asset(app, name):
    assert Caller(app, None).get(f"/docs/assets/{name}").status_code == 404


def test_nothing_that_is_ours_names_a_host_outside(app):
    outside = re.compile(r"(?:https?:)?//(?!127\.0\.0\.1|localhost)[\w.-]+\.\w+")
    files = [
        path
        for folder in ("templates", "static")
        for path in (ROOT / "web" / folder).iterdir()
    ]
    assert len(files) > 5
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not outside.search(text), path
    stranger = Caller(app, None)
    for page in ("/", "/docs", "/openapi.json"):
        assert not outside.search(stranger.get(page).text), page


def test_pages_may_load_from_nowhere_else(app):
    for page in ("/", "/docs"):
        policy = Caller(app, None).get(page).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'")
        assert "http" not in policy
