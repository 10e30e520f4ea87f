"""A folder, on this machine or on an SFTP server, that others drop files into."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from ingest.connectors import connector
from ingest.contract import (
    Config,
    Example,
    Limits,
    Page,
    Partition,
    SeriesMeta,
    Spec,
    Tier,
    cut,
)
from ingest.exchange import Answer, Request
from ingest.file_tables import FilesConfig, file_page
from ingest.folder_steps import SFTP_SECRETS, FolderConfig
from ingest.object_files import belongs
from ingest.table_layout import TableLayout
from ingest.verdicts import Verdict


class DropFolderConfig(FolderConfig, FilesConfig):
    """A folder, when a file in it counts as whole, and what is in the files."""


@connector("drop_folder")
class DropFolder:
    """Files of a folder; a .sha256 beside a file is always held against it."""

    spec: ClassVar[Spec] = Spec(
        title="Drop folder (local or SFTP)",
        licence="That of the files: the owner of the source has to know it.",
        limits=Limits(per_second=5.0, burst=5.0),
        secrets=SFTP_SECRETS,
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            Tier("warm", timedelta(days=60), timedelta(days=7)),
        ),
        span=timedelta(days=7),
        publication="published",
    )
    config_type: ClassVar[type[Config]] = DropFolderConfig

    def __init__(self, config: DropFolderConfig) -> None:
        self._config = config
        mine = partial(belongs, pattern=config.pattern, zone=config.timezone)
        self._folder = config.folder(mine)

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into weeks; a file is of the one its day lies in."""
        return cut(start, end, span=self.spec.span)

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the list of files."""
        return (self._folder.listing,)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the list, a checksum, or a file."""
        page = self._folder.guarded(request, answer, partition)
        return page or file_page(self._config, request, answer, partition)

    def discover(self) -> Request | None:
        """Nothing lists the series in files."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a listing, and the file in it that is whole."""
        config = DropFolderConfig(
            base_url="file:///drop/",
            pattern="%Y%m%d_load.csv",
            layout=TableLayout(series_columns=("series",)),
        )
        body = b"ts,series,value\n2026-01-09T00:00Z,A,1\n2026-01-09T01:00Z,A\n"
        at = datetime(2026, 1, 10, tzinfo=UTC)
        names = {"20260109_load.csv": len(body), "20260110_load.csv.part": 36}
        files = [
            {"name": name, "size": size, "mtime": "2026-01-09T06:00:00+00:00"}
            for name, size in names.items()
        ]
        listing = json.dumps({"files": files}).encode()
        (partition,) = cls(config).plan(at - timedelta(days=1), at)
        return Example(
            config,
            partition,
            (
                Answer(200, {"content-type": "application/json"}, at, listing),
                Answer(200, {"content-type": "application/octet-stream"}, at, body),
            ),
        )
