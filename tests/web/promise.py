"""Holds every answer of the tests against the OpenAPI document that is served."""

from functools import cached_property
from typing import Any
from urllib.parse import unquote

from apiflask import APIFlask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

PROBLEM = "application/problem+json"
_LARGEST = 500_000  # bytes; validating a larger body takes seconds


class Promise:
    """What the document says about each call."""

    def __init__(self, app: APIFlask) -> None:
        self._app = app
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The served document."""
        return self._app.test_client().get("/openapi.json").json

    def check(self, method: str, path: str, answer: TestResponse) -> None:
        """Fail where an answer is not as the document says."""
        path = path.partition("?")[0]
        if method == "HEAD":
            return
        if answer.mimetype == PROBLEM:
            self._check_problem(path, answer)
        elif (template := self._template(path, method)) in self.spec["paths"]:
            promised = self.spec["paths"][template][method.lower()]["responses"]
            forms = promised[str(answer.status_code)].get("content")
            if forms and answer.status_code != 304:
                assert answer.mimetype in forms
                self._validate(forms[answer.mimetype].get("schema"), answer)

    def _check_problem(self, path: str, answer: TestResponse) -> None:
        self._validate({"$ref": "#/components/schemas/Problem"}, answer)
        body = answer.json
        assert body["status"] == answer.status_code >= 400
        assert body["instance"].isascii()
        assert unquote(body["instance"]) == unquote(path)
        assert body["type"].startswith("/problems/")
        assert body["trace_id"] == answer.headers["X-Trace-Id"]

    def _validate(self, schema: dict[str, Any] | None, answer: TestResponse) -> None:
        if schema is None or len(answer.data) > _LARGEST:
            return
        if schema["$ref"] not in self._validators:
            whole = {**schema, "components": self.spec["components"]}
            self._validators[schema["$ref"]] = Draft202012Validator(whole)
        self._validators[schema["$ref"]].validate(answer.json)

    def _template(self, path: str, method: str) -> str | None:
        try:
            rule, _ = self._app.url_map.bind("localhost").match(
                path, method, return_rule=True
            )
        except HTTPException:
            return None
        return rule.rule.replace("<", "{").replace(">", "}")
