"""ENTSO-E file library: a file for each month, which says when each row was updated.

The best way to fill in years: one download a month, with the true time of publication.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import ClassVar

from pydantic import Field

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
)
from ingest.entsoe_table import Rows, contract, has_rows, header_names
from ingest.entsoe_zip import Refusal
from ingest.errors import IngestError
from ingest.exchange import Answer, Request, secret
from ingest.refusals import refusal, refused
from ingest.table_rows import header_cut, unended
from ingest.verdicts import OK, Class, Verdict, decoded, general, markup

_PAGE_SIZE = 5_000


class EntsoeFilesConfig(Config):
    """One data set of the library."""

    base_url: str = Field(
        default="https://fms.tp.entsoe.eu",
        description="Where folders are listed and files are downloaded.",
    )
    login_url: str = Field(
        default=(
            "https://keycloak.tp.entsoe.eu/realms/tp/protocol/openid-connect/token"
        ),
        description="Where user name and password are exchanged for a token.",
    )
    dataset: str = Field(
        pattern=r"^[A-Za-z0-9_.]+$",
        max_length=100,
        description="The folder under TP_export, such as ActualTotalLoad_6.1.A_r3.",
    )
    areas: tuple[str, ...] = Field(
        default=(),
        description="EIC codes of the areas to keep; by default all of the file.",
    )


@connector("entsoe_files")
class EntsoeFiles:
    """Monthly files, found through the listing of their folder."""

    spec: ClassVar[Spec] = Spec(
        title="ENTSO-E Transparency Platform, file library",
        licence=(
            "ENTSO-E Transparency Platform, CC BY 4.0 for most data items; see the "
            "platform's list of data available for re-use."
        ),
        limits=Limits(per_second=0.5, burst=4.0),
        secrets=(
            SecretField("username", "E-mail address of the platform's account"),
            SecretField("password", "Password of the platform's account"),
        ),
        tiers=(
            Tier("hot", timedelta(days=3), timedelta(days=1)),
            Tier("warm", timedelta(days=35), timedelta(days=7)),
            Tier("cold", timedelta(days=400), timedelta(days=365)),
        ),
        span=timedelta(days=31),
        completeness="document",
        publication="published",
        documentation=(
            "https://transparencyplatform.zendesk.com/hc/en-us/articles/35960137882129"
        ),
    )
    config_type: ClassVar[type[Config]] = EntsoeFilesConfig

    def __init__(self, config: EntsoeFilesConfig) -> None:
        self.config = config

    def login(self) -> Request:
        """Return what exchanges user name and password for ``{secret:token}``."""
        fields = (
            ("client_id", "tp-fms-public"),
            ("grant_type", "password"),
            ("username", secret("username")),
            ("password", secret("password")),
        )
        return Request(
            self.config.login_url,
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body="&".join(f"{name}={text}" for name, text in fields),
            kept=False,
        )

    def token(self, answer: Answer) -> str | Verdict:
        """Return the token of the answer to ``login``, or why there is none."""
        if (verdict := general(answer)) is not None:
            # Keycloak answers a wrong password with 400 or 401, invalid_grant.
            return replace(verdict, cls="auth") if verdict.cls == "config" else verdict
        document = decoded(answer)
        if isinstance(document, Verdict):
            return document
        said = document.get("access_token") if isinstance(document, dict) else None
        if isinstance(said, str) and said:
            return said
        return Verdict("schema_drift", "the log-in gave no access_token")

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut a window at the months, because there is a file for each."""
        edges = [start]
        month = _next_month(start)
        while month < end:
            edges.append(month)
            month = _next_month(month)
        edges.append(end)
        name = self.config.dataset.lower()
        return tuple(
            Partition(f"{name}:{low:%Y%m%dT%H%MZ}-{high:%Y%m%dT%H%MZ}", low, high)
            for low, high in pairwise(edges)
        )

    def requests(self, partition: Partition) -> tuple[Request, ...]:  # noqa: ARG002
        """Ask for the listing of the folder."""
        asked = {
            "path": self._folder,
            "sorterList": [{"key": "periodCovered.from", "ascending": True}],
            "pageInfo": {"pageIndex": 0, "pageSize": _PAGE_SIZE},
        }
        return (self._post("listFolder", asked, {"listing": True}),)

    @property
    def _folder(self) -> str:
        return f"/TP_export/{self.config.dataset}/"

    def _post(
        self, name: str, asked: Mapping[str, object], place: Mapping[str, object]
    ) -> Request:
        return Request(
            f"{self.config.base_url}/{name}",
            method="POST",
            headers={
                "Authorization": f"Bearer {secret('token')}",
                "Content-Type": "application/json",
            },
            body=json.dumps(asked),
            place=place,
        )

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Say what a listing or a file means; its first byte tells which it is."""
        verdict = general(answer) or markup(answer)
        if verdict is not None:
            return Page(verdict)
        with answer.open() as body:
            head = body.read(3).removeprefix(b"\xef\xbb\xbf")
        if request.place.get("listing") or head[:1] in (b"{", b"["):
            return self._listing(answer, partition)
        return self._file(request, answer, partition)

    def _listing(self, answer: Answer, partition: Partition) -> Page:
        document = decoded(answer)
        if isinstance(document, Verdict):
            return Page(document)
        items = document.get("contentItemList") if isinstance(document, dict) else None
        if not isinstance(items, list):
            drifted = Verdict("schema_drift", "the listing has no contentItemList")
            return Page(refused(document) or drifted)
        names = [item.get("name") for item in items if isinstance(item, dict)]
        wanted = [
            name
            for name in names
            if isinstance(name, str) and _covered(name, partition)
        ]
        if not wanted:
            which = f"{partition.start:%Y-%m}" if partition.start else "any month"
            detail = f"the folder has no file of {which} among {len(names)}"
            return Page(Verdict("not_available", detail))
        asked = (
            {
                "folder": self._folder,
                "filename": name,
                "downloadAsZip": True,
                "topLevelFolder": "TP_export",
            }
            for name in sorted(wanted)
        )
        follow = tuple(
            self._post("downloadFileContent", each, {"file": each["filename"]})
            for each in asked
        )
        return Page(Verdict("metadata"), follow=follow)

    def _file(self, request: Request, answer: Answer, partition: Partition) -> Page:
        try:
            header = header_names(answer)
            bare = not has_rows(answer)
            short = unended(answer)
        except Refusal as unsafe:
            return Page(unsafe.verdict)
        except IngestError as error:
            cut_off = isinstance(error.__cause__, EOFError)
            cls: Class = "transient" if cut_off else "malformed"
            return Page(Verdict(cls, error.detail))
        changes, verdict = contract(header)
        if verdict is None and short:
            verdict = Verdict("transient", "the last line is cut off")
        if verdict is not None:
            told = refusal(answer) or header_cut(answer)
            return Page(told or verdict, drift=changes)
        config = self.config
        rows = Rows(
            header, dataset=config.dataset, areas=config.areas, partition=partition
        )
        month = _month(str(request.place.get("file", "")))
        return Page(
            Verdict("empty", "a header without rows") if bare else OK,
            rows.batches(answer),
            drift=changes,
            complete=month is not None and _within(partition, month),
        )

    def discover(self) -> Request | None:
        """Return None: a file lists its series only by having them."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Return no series; see ``discover``."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a listing and a file of two rows, of which one is no number."""
        config = EntsoeFilesConfig(dataset="ActualTotalLoad_6.1.A_r3")
        start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
        said = {"content-type": "application/json"}
        answers = (
            Answer(200, said, end, _LISTING),
            Answer(200, {"content-type": "text/csv"}, end, _FILE.encode()),
        )
        return Example(config, Partition("example", start, end), answers)


def _next_month(at: datetime) -> datetime:
    first = datetime(at.year, at.month, 1, tzinfo=UTC)
    return (first + timedelta(days=32)).replace(day=1)


def _month(name: str) -> datetime | None:
    """Return the month that a file is named by."""
    found = re.match(r"(\d{4})_(0[1-9]|1[0-2])_", name)
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC) if found else None


def _covered(name: str, partition: Partition) -> bool:
    """Return whether a file holds some of a window."""
    month = _month(name)
    if month is None:
        return False
    return (partition.end is None or month < partition.end) and (
        partition.start is None or _next_month(month) > partition.start
    )


def _within(partition: Partition, month: datetime) -> bool:
    """Return whether a window lies in a month."""
    if partition.start is None or partition.end is None:
        return False
    return month <= partition.start and partition.end <= _next_month(month)


_LISTING = b'{"contentItemList": [{"name": "2026_01_ActualTotalLoad_6.1.A_r3.csv"}]}'
_COLUMNS = (
    "DateTime(UTC)\tResolutionCode\tAreaCode\tAreaDisplayName\tAreaTypeCode\t"
    "AreaMapCode\tTotalLoad[MW]\tUpdateTime(UTC)\n"
)
_PLACE = "PT60M\t10YBE----------2\tBelgium (BE)\tBZN/CTA/CTY\tBE"
_FILE = (
    f"\ufeff{_COLUMNS}"
    f"2026-01-01 00:00:00\t{_PLACE}\t8512.5\t2026-01-01 02:04:10\n"
    f"2026-01-01 01:00:00\t{_PLACE}\tx\t2026-01-01 03:04:10\n"
)
