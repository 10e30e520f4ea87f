"""Tables in files of folders and buckets: what they share, whatever carries them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from ingest.contract import Config, Page, Partition
from ingest.exchange import Answer, Request
from ingest.object_files import (
    Stamped,
    checked_pattern,
    day_of,
    passed_over,
    published_at,
)
from ingest.table_layout import TableFormat, TableLayout
from ingest.table_rows import TableBody
from ingest.verdicts import Verdict

_ENDINGS: Mapping[str, TableFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}


def _checked_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"{name!r} is not a time zone such as Europe/Paris or UTC"
        raise ValueError(message) from error
    return name


Zone = Annotated[str, AfterValidator(_checked_zone)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(checked_pattern)]


class FilesConfig(Config):
    """Which files, and what is in them."""

    pattern: Pattern = Field(
        default="*",
        description="Names of files, such as %Y%m%d_load.csv: the date in a name says "
        "to which window its file belongs, else its age does; * stands for "
        "anything but a slash.",
    )
    timezone: Zone = Field(
        default="UTC", description="The zone in which a file's day begins."
    )
    format: TableFormat | Literal["by_name"] = Field(
        default="by_name", description="How files are written; by the name's ending."
    )
    layout: TableLayout = Field(
        default_factory=TableLayout, description="What the columns are."
    )
    rows_path: str = Field(default="", description="Where the rows lie in JSON.")
    publication: Literal["modified", "observed"] = Field(
        default="modified",
        description="Since when rows count as known: since their file was written, or "
        "since it was read.",
    )


def format_of(name: str, declared: str) -> TableFormat | None:
    """Return how a file is written, or None if its name does not say.

    Example:
        >>> format_of("2026/load.CSV.gz", "by_name"), format_of("readme.md", "by_name")
        ('csv', None)
    """
    for form in ("csv", "ndjson", "json", "parquet", "arrow"):
        if form == declared:
            return form
    bare = name.lower().removesuffix(".gz")
    return next((form for end, form in _ENDINGS.items() if bare.endswith(end)), None)


def file_page(
    config: FilesConfig, request: Request, answer: Answer, partition: Partition
) -> Page:
    """Return the rows of a file that has come whole."""
    name = str(request.place.get("name", request.url))
    form = format_of(name, config.format)
    if form is None:
        return Page(Verdict("ignored", f"{name}: no ending that says a format"))
    moment = day_of(name, config.pattern, config.timezone) or partition.start
    body = TableBody(
        answer, form, config.layout, moment or answer.fetched_at, config.rows_path
    )
    verdict = body.verdict()
    if verdict.cls == "malformed":
        return passed_over(verdict)
    if verdict.cls != "ok":
        return Page(verdict)
    observed = config.publication == "observed"
    published: datetime | None = None if observed else published_at(request, answer)
    return Page(verdict, Stamped(body, published))
