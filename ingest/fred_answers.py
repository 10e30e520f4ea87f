"""Answers of FRED: the body as JSON or XML, and errors told apart by their words."""

import re
from typing import Any

from ingest.exchange import Answer
from ingest.packed import unpacked
from ingest.verdicts import (
    Class,
    Verdict,
    decoded,
    general,
    markup,
    of_status,
    retry_after_s,
)

_PAUSE_S = 20.0  # what patient clients of FRED wait; it never says how long
_TOO_MANY = re.compile(r"vintage dates.*(exceed|maximum)", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"api[_ ]key", re.IGNORECASE)
_PACE = re.compile(r"rate limit|too many requests", re.IGNORECASE)


def envelope(answer: Answer) -> dict[str, Any] | Verdict:
    """Return the body of an answer, or what it means if it is an error.

    A bad key, an unknown series and too many vintages all come as 400; only the
    message tells them apart.
    """
    answer = unpacked(answer)
    status = general(answer)
    if not answer.whole and status is not None:
        return status
    body = _xml(answer) if _is_xml(answer) else decoded(answer)
    if isinstance(body, dict) and "error_message" in body:
        return _refusal(body, answer)
    if status is not None:
        if status.cls == "rate_limited" and status.wait_s is None:
            return Verdict(status.cls, status.detail, _PAUSE_S)
        return status
    if isinstance(body, dict | Verdict):
        return body
    return Verdict("schema_drift", "the answer is no JSON object")


def _refusal(body: dict[str, Any], answer: Answer) -> Verdict:
    told = str(body["error_message"])[:300]
    cls = _class_of(_code(body, answer), told)
    wait_s = retry_after_s(answer)
    if cls == "rate_limited" and wait_s is None:
        wait_s = _PAUSE_S
    return Verdict(cls, told, wait_s)


def _code(body: dict[str, Any], answer: Answer) -> int:
    try:
        return int(body.get("error_code") or answer.status)
    except (TypeError, ValueError):
        return answer.status


def _class_of(code: int, told: str) -> Class:
    if code == 429 or _PACE.search(told):  # noqa: PLR2004 - HTTP's own number
        return "rate_limited"
    if _TOO_MANY.search(told):
        return "split_window"
    if code in (401, 403) or _KEY.search(told):
        return "auth"
    return of_status(code) or "transient"


def _is_xml(answer: Answer) -> bool:
    with answer.open() as body:
        head = body.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"<") and markup(answer) is None


def _xml(answer: Answer) -> dict[str, Any] | Verdict:
    """Return an XML answer as the JSON answer would be; entities stay unresolved."""
    from lxml import etree  # noqa: PLC0415 - heavy, and FRED is asked for JSON

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        with answer.open() as body:
            root = etree.parse(body, parser).getroot()
    except etree.XMLSyntaxError as error:
        return Verdict("transient", f"the XML is cut off or damaged: {error}")
    if root.tag == "error":
        code, message = root.get("code"), root.get("message")
        return {"error_code": code, "error_message": message}
    rows = [dict(one.attrib) or one.text for one in root if isinstance(one.tag, str)]
    return {**root.attrib, str(root.tag): rows}
