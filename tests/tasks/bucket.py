"""A bucket that speaks the protocol of S3, slowly and obviously, and checks each name.

Signatures are worked out from the published description of SigV4 and nothing else, so
that a client that signs wrongly is refused here as it would be by a real store.
"""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.tasks.served import served

ACCESS_KEY, SECRET_KEY, REGION = "AKIDTEST", "a-secret/of+the+test", "eu-test-1"
BUCKET = "models"
_PAGE = 2  # so that a list of a few objects has pages


@dataclass
class FakeBucket:
    """What is kept, what was asked, and what is to go wrong."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failing: int = 0
    """Answer so many requests with a 503 first."""


@contextmanager
def serving() -> Iterator[FakeBucket]:
    """Serve an empty bucket on a port of this machine."""
    bucket = FakeBucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    with served(handler) as url:
        bucket.url = url
        yield bucket


def signature(
    method: str, target: str, headers: dict[str, str], signed: list[str], body: bytes
) -> str:
    """Sign a request with the test's key, step by step.

    Args:
        method: GET, HEAD or PUT.
        target: the path with its query, as it was sent.
        headers: all headers, by names in lower case.
        signed: the names of those that are signed.
        body: what was sent.
    """
    split = urlsplit(target)
    pairs = sorted(parse_qsl(split.query, keep_blank_values=True))
    query = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs)
    canonical = "\n".join(
        [
            method,
            quote(unquote(split.path), safe="/~"),
            query,
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            ";".join(signed),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{REGION}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashed}"
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (at[:8], REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


class _Handler(BaseHTTPRequestHandler):
    bucket: FakeBucket
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if key := self._key(body):
            self.bucket.objects[key] = body
            self._answer(200, etag=hashlib.md5(body).hexdigest())

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            if self._key(b"") is not None:
                self._answer(200, self._listed(), kind="application/xml")
        else:
            self._object()

    def do_HEAD(self) -> None:
        self._object()

    def _object(self) -> None:
        key = self._key(b"")
        if key is None:
            return
        body = self.bucket.objects.get(key)
        if body is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, body, etag=hashlib.md5(body).hexdigest())

    def _listed(self) -> bytes:
        asked = dict(parse_qsl(urlsplit(self.path).query))
        after = asked.get("continuation-token", "")
        names = sorted(
            one
            for one in self.bucket.objects
            if one.startswith(asked.get("prefix", "")) and one > after
        )
        shown, more = names[:_PAGE], len(names) > _PAGE
        entries = "".join(
            f"<Contents><Key>{escape(one)}</Key>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
            f"<Size>{len(self.bucket.objects[one])}</Size></Contents>"
            for one in shown
        )
        return (
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<NextContinuationToken>{shown[-1] if more else ''}"
            f"</NextContinuationToken>{entries}</ListBucketResult>"
        ).encode()

    def _key(self, body: bytes) -> str | None:
        """Return which object is meant, or refuse the request and return None."""
        self.bucket.calls.append(f"{self.command} {self.path}")
        if self.bucket.failing:
            self.bucket.failing -= 1
            self._answer(503)
            return None
        if fault := self._fault(body):
            self.bucket.refused.append(fault)
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return None
        path = unquote(urlsplit(self.path).path)
        assert path.startswith(f"/{BUCKET}")
        return path.removeprefix(f"/{BUCKET}").removeprefix("/")

    def _fault(self, body: bytes) -> str | None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return "not signed"
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        scope = f"{ACCESS_KEY}/{headers['x-amz-date'][:8]}/{REGION}/s3/aws4_request"
        signed = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed):
            return "a header is not signed"
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "the body is not what was signed"
        made = signature(self.command, self.path, headers, signed, body)
        good = parts["Credential"] == scope and parts["Signature"] == made
        return None if good else "the signature is wrong"

    def _answer(
        self, status: int, body: bytes = b"", *, etag: str = "", kind: str = "text/xml"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
