"""A bucket that speaks S3: lists in pages, and objects by key and version."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote_plus, unquote
from xml.sax.saxutils import escape

from tests.sources.server import Call, Reply
from tests.sources.truth import Truth

_XML = {"Content-Type": "application/xml"}


@dataclass(frozen=True)
class Stored:
    """An object as it was sent last."""

    content: bytes
    modified: datetime

    @property
    def etag(self) -> str:
        """As S3 makes it of objects sent in one part."""
        return f'"{hashlib.md5(self.content).hexdigest()}"'


@dataclass
class Bucket:
    """One bucket, at its path."""

    name: str = "b-1"
    objects: dict[str, Stored] = field(default_factory=dict)
    most: int = 1_000

    def put(self, key: str, content: bytes, modified: datetime) -> None:
        """Send an object."""
        self.objects[key] = Stored(content, modified)

    def put_days(self, truth: Truth, modified: datetime) -> None:
        """Send a file for each day, as it is known at an instant."""
        days: dict[str, list[str]] = {}
        for name, ts, value in truth.rows(as_of=modified):
            cell = "" if value is None else repr(value)
            days.setdefault(f"{ts:%Y/%m/%d}", []).append(
                f"{ts.isoformat()},{name},{cell}"
            )
        for day, lines in days.items():
            body = "\n".join(["ts,series,value", *lines, ""]).encode()
            self.put(f"load/{day}.csv", body, modified)

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        path = unquote(call.path).removeprefix("/")
        bucket, _, key = path.partition("/")
        if bucket != self.name:
            return _error(404, "NoSuchBucket")
        if call.one("list-type") == "2":
            return self._listed(call)
        found = self.objects.get(key)
        if found is None:
            return _error(404, "NoSuchKey")
        if call.headers.get("if-match", found.etag) != found.etag:
            return _error(412, "PreconditionFailed")
        stamp = format_datetime(found.modified, usegmt=True)
        return Reply(200, found.content, {"ETag": found.etag, "Last-Modified": stamp})

    def _listed(self, call: Call) -> Reply:
        keys = sorted(key for key in self.objects if key.startswith(call.one("prefix")))
        first = int(call.one("continuation-token", "0"))
        most = min(self.most, int(call.one("max-keys", "1000")))
        page = keys[first : first + most]
        more = first + most < len(keys)
        token = f"<NextContinuationToken>{first + most}</NextContinuationToken>"
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}"
            f"</IsTruncated>{token if more else ''}"
            f"{''.join(self._entry(key) for key in page)}</ListBucketResult>"
        )
        return Reply(200, body.encode(), _XML)

    def _entry(self, key: str) -> str:
        found = self.objects[key]
        return (
            f"<Contents><Key>{quote_plus(key, safe='/')}</Key>"
            f"<LastModified>{found.modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<ETag>{escape(found.etag)}</ETag><Size>{len(found.content)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )


def _error(status: int, code: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return Reply(status, body.encode(), _XML)
