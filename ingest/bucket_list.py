"""What S3 and its likes say in XML: lists of objects, and errors by their codes."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from ingest.exchange import Answer
from ingest.object_files import Entry
from ingest.packed import unpacked
from ingest.sayings import said
from ingest.verdicts import Class, Verdict, general, markup, retry_after_s, utc

_CODES: dict[str, Class] = {
    "SlowDown": "rate_limited",
    "RequestLimitExceeded": "rate_limited",
    "Throttling": "rate_limited",
    "TooManyRequests": "rate_limited",
    "ServiceUnavailable": "transient",
    "InternalError": "transient",
    "RequestTimeout": "transient",
    "NoSuchKey": "transient",
    "PreconditionFailed": "transient",
    "OperationAborted": "transient",
    "AccessDenied": "auth",
    "AllAccessDisabled": "auth",
    "AccountProblem": "auth",
    "ExpiredToken": "auth",
    "InvalidAccessKeyId": "auth",
    "InvalidToken": "auth",
    "SignatureDoesNotMatch": "auth",
    "NoSuchBucket": "config",
    "InvalidBucketName": "config",
    "InvalidArgument": "config",
    "PermanentRedirect": "config",
    "AuthorizationHeaderMalformed": "config",
    "RequestTimeTooSkewed": "config",
    "InvalidObjectState": "config",
}
_FROZEN = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_LONGEST_ERROR = 65_536


@dataclass(frozen=True)
class Listing:
    """A page of a bucket's list.

    Attributes:
        entries: the objects that can be read at once.
        token: of the next page, or None.
        frozen: how many more lie in an archive from which they must be fetched first.
    """

    entries: tuple[Entry, ...]
    token: str | None = None
    frozen: int = 0


def bucket_error(answer: Answer) -> Verdict | None:
    """Return what status, transfer or an error in XML say; None for a good answer."""
    found = general(answer)
    with answer.open() as stream:
        head = stream.read(_LONGEST_ERROR)
    if b"<Error" not in head[:400]:
        return found
    root = _root(head)
    if root is None or _local(root) != "Error":
        return found
    code, told = _text(root, "Code"), _text(root, "Message")
    cls = (
        _CODES.get(code)
        or said(f"{code} {told}")
        or (found.cls if found is not None else "transient")
    )
    return Verdict(cls, f"{code}: {told}"[:300], retry_after_s(answer))


def bucket_list(answer: Answer) -> Listing | Verdict:
    """Return a page of a list, or the verdict on what is none."""
    answer = unpacked(answer)
    if (found := bucket_error(answer) or markup(answer)) is not None:
        return found
    root = _root(answer.body)
    if root is None:
        return Verdict("transient", "the list is cut off, or no XML")
    if _local(root) != "ListBucketResult":
        return Verdict("schema_drift", f"{_local(root)} came instead of a list")
    quoted = _text(root, "EncodingType") == "url"
    objects = [child for child in root if _local(child) == "Contents"]
    try:
        entries = tuple(
            _entry(one, quoted=quoted)
            for one in objects
            if _text(one, "StorageClass") not in _FROZEN
        )
    except ValueError as error:
        return Verdict("malformed", f"an object of the list cannot be read: {error}")
    token = _text(root, "NextContinuationToken") or None
    if _text(root, "IsTruncated") == "true" and token is None:
        return Verdict("malformed", "the list goes on, but does not say where")
    frozen = len(objects) - len(entries)
    return Listing(entries, token, frozen)


def _entry(one: Any, *, quoted: bool) -> Entry:
    key = _text(one, "Key")
    return Entry(
        unquote_plus(key) if quoted else key,
        int(_text(one, "Size")),
        utc(_text(one, "LastModified")),
        _text(one, "ETag"),
    )


def _root(content: bytes) -> Any:
    from lxml import etree  # noqa: PLC0415 - who only shows schemas needs no XML

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        return None


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Any, name: str) -> str:
    return next((child.text or "" for child in element if _local(child) == name), "")
