"""Objects of a bucket, of S3 or whatever speaks its protocol."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import quote

from pydantic import Field

from ingest.bucket_list import bucket_error, bucket_list
from ingest.connectors import connector
from ingest.contract import (
    Config,
    Example,
    Limits,
    Page,
    Partition,
    SecretField,
    SeriesMeta,
    Spec,
    Tier,
    cut,
)
from ingest.exchange import Answer, Request
from ingest.file_tables import FilesConfig, file_page
from ingest.object_files import (
    Entry,
    belongs,
    is_marker,
    stale,
    unfinished,
)
from ingest.table_layout import TableLayout
from ingest.verdicts import Verdict

_MOST_KEYS = 1_000


class S3ObjectsConfig(FilesConfig):
    """A bucket, and which of its objects."""

    bucket: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,62}$", description="The bucket's name."
    )
    prefix: str = Field(
        default="", max_length=1_000, description="With what the keys begin."
    )
    max_keys: int = Field(
        default=_MOST_KEYS, ge=1, le=_MOST_KEYS, description="Keys in a page."
    )
    endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Address of what speaks S3; empty for Amazon's.",
    )
    region: str = Field(
        default="us-east-1",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="The region for which requests are signed.",
    )


@connector("s3_objects")
class S3Objects:
    """Objects by key, ETag, size and age; what is sent again is read again."""

    spec: ClassVar[Spec] = Spec(
        title="S3 objects",
        licence="That of the objects: the owner of the source has to know it.",
        limits=Limits(per_second=20.0, burst=20.0),
        secrets=(
            SecretField("access_key", "Access key", required=False),
            SecretField("secret_key", "Secret key", required=False),
            SecretField("session_token", "Session token", required=False),
        ),
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            Tier("warm", timedelta(days=60), timedelta(days=7)),
        ),
        span=timedelta(days=31),
        publication="published",
        documentation="https://docs.aws.amazon.com/AmazonS3/latest/API/"
        "API_ListObjectsV2.html",
    )
    config_type: ClassVar[type[Config]] = S3ObjectsConfig

    def __init__(self, config: S3ObjectsConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into months of 31 days; an object is of the one of its day."""
        return cut(start, end, span=self.spec.span)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the first page of the list."""
        return (self._list(None),)

    def _list(self, token: str | None) -> Request:
        params = [
            ("list-type", "2"),
            ("prefix", self._config.prefix),
            ("max-keys", str(self._config.max_keys)),
            ("encoding-type", "url"),
        ]
        if token is not None:
            params.append(("continuation-token", token))
        url = f"s3://{self._config.bucket}/"
        return Request(url, tuple(params), place={"step": "list"})

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read a page of the list, or an object."""
        if request.place.get("step", "list") == "list":
            return self._listing(request, answer, partition)
        found = stale(request, answer) or bucket_error(answer)
        if found is not None:
            return Page(found)
        return file_page(self._config, request, answer, partition)

    def _listing(self, request: Request, answer: Answer, partition: Partition) -> Page:
        found = bucket_list(answer)
        if isinstance(found, Verdict):
            return Page(found)
        asked = dict(request.params).get("continuation-token")
        if found.token is not None and found.token == asked:
            return Page(Verdict("malformed", "the list leads back to the same page"))
        mine = [entry for entry in found.entries if self._is_mine(entry, partition)]
        detail = f"{len(mine)} objects of {len(found.entries)}"
        if found.frozen:
            detail += f"; {found.frozen} are archived and cannot be read at once"
        follow = [self._object(entry) for entry in mine]
        if found.token is not None:
            follow.insert(0, self._list(found.token))
        return Page(Verdict("metadata", detail), follow=tuple(follow))

    def _is_mine(self, entry: Entry, partition: Partition) -> bool:
        if not entry.size or unfinished(entry.name) or is_marker(entry.name):
            return False
        pattern, zone = self._config.pattern, self._config.timezone
        return belongs(entry, partition, pattern=pattern, zone=zone)

    def _object(self, entry: Entry) -> Request:
        at = entry.modified
        return Request(
            f"s3://{self._config.bucket}/{quote(entry.name)}",
            # Only the version that was listed: another one is listed again.
            headers={"If-Match": entry.etag} if entry.etag else {},
            place={
                "step": "file",
                "name": entry.name,
                "size": entry.size,
                "etag": entry.etag,
                "modified": None if at is None else at.isoformat(),
                "identity": entry.identity,
            },
        )

    def discover(self) -> Request | None:
        """Nothing lists the series in objects."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a list of one object, and the object."""
        config = S3ObjectsConfig(
            bucket="b-1",
            prefix="load/",
            pattern="load/%Y/%m/%d.csv",
            layout=TableLayout(series_columns=("series",)),
        )
        body = b"ts,series,value\n2026-01-09T00:00Z,A,1\n2026-01-09T01:00Z,A,x\n"
        listing = (
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
            "<Key>load/2026/01/09.csv</Key><ETag>&quot;e1&quot;</ETag>"
            "<LastModified>2026-01-10T02:11:09.000Z</LastModified>"
            f"<Size>{len(body)}</Size></Contents></ListBucketResult>"
        )
        at = datetime(2026, 1, 11, tzinfo=UTC)
        (partition,) = cls(config).plan(at - timedelta(days=2), at)
        return Example(
            config,
            partition,
            (
                Answer(200, {"content-type": "application/xml"}, at, listing.encode()),
                Answer(200, {"content-type": "text/csv", "etag": '"e1"'}, at, body),
            ),
        )
