"""Carries requests to buckets of S3 and of what speaks its protocol.

The requests are signed here and sent by the HTTP transport, so that the judge, the
limits and the redaction hold for them as for all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from requests.auth import AuthBase
from requests_aws4auth import AWS4Auth  # type: ignore[import-untyped] # it has no types

from ingest.exchange import Answer, NotAllowed, Request
from ingest.http import HttpTransport
from ingest.placeholders import MissingSecret
from ingest.wire import Clock


@dataclass(frozen=True)
class Endpoint:
    """Where the buckets are; without an address those of Amazon in the region."""

    url: str = ""
    region: str = "us-east-1"


class BucketTransport:
    """Reads ``s3://bucket/key``, and lists where ``list-type`` is asked for.

    Its secrets are ``access_key`` and ``secret_key``, with ``session_token`` where they
    are temporary; without them nothing is signed, as open buckets are read.

    Args:
        http: what carries the signed requests.
        endpoint: where the buckets are; buckets are in the path, not in the host.
        secrets: the source's, by name.
        clock: gives the time, aware, in UTC.
    """

    def __init__(
        self,
        http: HttpTransport,
        *,
        endpoint: Endpoint,
        secrets: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self._http = http
        self._url = endpoint.url or f"https://s3.{endpoint.region}.amazonaws.com"
        self._region = endpoint.region
        self._secrets = secrets
        self._clock = clock

    def send(self, request: Request) -> Answer:
        """Return an object or a list of objects; see ``HttpTransport.send``.

        Raises:
            NotAllowed: the address names no bucket.
            MissingSecret: there is one key of the two that sign.
        """
        bucket, _, key = request.url.partition("://")[2].partition("/")
        if not bucket or request.method != "GET":
            raise NotAllowed("a bucket is read as s3://bucket/ or s3://bucket/key")
        path = f"{quote(bucket, safe='')}/{quote(unquote(key), safe='/~')}"
        url = f"{self._url.rstrip('/')}/{path}"
        if request.params:
            # Written out here: in a signature a space is %20 and never a plus.
            pairs = (
                f"{quote(name, safe='~')}={quote(value, safe='~')}"
                for name, value in request.params
            )
            url = f"{url}?{'&'.join(pairs)}"
        plain = replace(request, url=url, params=())
        if not self._secrets.get("access_key"):
            return self._http.carry(plain)
        stamp = {"x-amz-date": self._clock().strftime("%Y%m%dT%H%M%SZ")}
        stamped = replace(plain, headers={**request.headers, **stamp})
        return self._http.carry(stamped, auth=self._auth())

    def close(self) -> None:
        """Do nothing: the connections are those of the HTTP transport."""

    def _auth(self) -> AuthBase:
        if not self._secrets.get("secret_key"):
            raise MissingSecret("secret_key")
        found: AuthBase = _Signature(
            self._secrets["access_key"],
            self._secrets["secret_key"],
            self._region,
            "s3",
            session_token=self._secrets.get("session_token"),
        )
        return found


class _Signature(AWS4Auth):  # type: ignore[misc] # it has no types
    """Signs the path as it is sent: S3, unlike Amazon's other services, keeps it so."""

    def amz_cano_path(self, path: str) -> str:
        return quote(unquote(path), safe="/~")
