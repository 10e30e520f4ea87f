"""Artifacts in a bucket of S3, or of anything that speaks its protocol.

The library is imported at the first use, so that a web process or a forked worker
starts its threads itself, and only where the extra ``s3`` is installed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from tasks.artifacts import DIGEST, ArtifactAbsent, address, checked, digest
from tasks.errors import SourceUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")


@dataclass(frozen=True)
class Bucket:
    """Which bucket, and how to get in; the keys are never shown.

    Without keys those of the machine's role are used.
    """

    name: str
    prefix: str
    endpoint: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    timeout_s: float = 60.0
    retries: int = 3


class BucketStore:
    """Keeps artifacts as objects, one PUT each: S3 shows them whole or not at all."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.name = "/".join(filter(None, (f"s3://{bucket.name}", bucket.prefix)))

    def put(self, content: bytes) -> str:
        """See ArtifactStore.put."""
        sha256 = digest(content)
        self._ask(
            lambda: self._client.put(address(sha256), content, use_multipart=False)
        )
        return sha256

    def get(self, sha256: str) -> bytes:
        """See ArtifactStore.get."""
        path = address(sha256)
        content = self._ask(lambda: self._client.get(path).bytes().to_bytes())
        return checked(content, sha256)

    def holds(self, sha256: str) -> bool:
        """See ArtifactStore.holds."""
        path = address(sha256)
        try:
            self._ask(lambda: self._client.head(path))
        except ArtifactAbsent:
            return False
        return True

    def digests(self) -> Iterator[str]:
        """See ArtifactStore.digests."""
        pages = iter(self._client.list())
        while objects := self._ask(lambda: next(pages, None)):
            for one in objects:
                name = one["path"].rpartition("/")[2]
                if DIGEST.fullmatch(name):
                    yield name

    @cached_property
    def _client(self) -> "S3Store":
        from obstore.store import S3Store

        bucket = self._bucket
        given = {
            "endpoint": bucket.endpoint,
            "access_key_id": bucket.access_key,
            "secret_access_key": bucket.secret_key,
        }
        return S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.region,
            virtual_hosted_style_request=not bucket.endpoint,
            client_options={
                "allow_http": bucket.endpoint.startswith("http://"),
                "timeout": timedelta(seconds=bucket.timeout_s),
            },
            retry_config={
                "max_retries": bucket.retries,
                "retry_timeout": timedelta(seconds=bucket.timeout_s),
            },
            **{name: value for name, value in given.items() if value},  # type: ignore[arg-type] # all texts
        )

    def _ask(self, call: Callable[[], T]) -> T:
        from obstore.exceptions import BaseError, NotFoundError

        try:
            return call()
        except (NotFoundError, FileNotFoundError) as error:
            raise ArtifactAbsent(f"no such artifact in {self.name}") from error
        except (BaseError, OSError) as error:
            # The class alone: the words of the library may hold a request's address.
            message = f"{self.name} does not answer as it must: {type(error).__name__}"
            raise SourceUnavailable(message) from error
