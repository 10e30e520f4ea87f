"""Open-Meteo archive: reanalysed weather of the past; its newest days are null."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import Field

from ingest.connectors import connector
from ingest.connectors.open_meteo import (
    LICENCE,
    LIMITS,
    SECRETS,
    Place,
    Weather,
    asked,
    dates,
    example_answer,
    page,
)
from ingest.contract import (
    Config,
    Example,
    Page,
    Partition,
    SeriesMeta,
    Spec,
    Tier,
    cut,
)
from ingest.exchange import Answer, Request
from ingest.verdicts import Verdict

_SPAN = timedelta(days=31)


class OpenMeteoArchiveConfig(Weather):
    """Past weather of places."""

    base_url: str = Field(
        default="https://archive-api.open-meteo.com",
        description="Where the archive is asked for.",
    )


@connector("open_meteo_archive")
class OpenMeteoArchive:
    """Past weather; nulls at the end are not yet published, and stay missing."""

    spec: ClassVar[Spec] = Spec(
        title="Open-Meteo archive",
        licence=LICENCE,
        limits=LIMITS,
        secrets=SECRETS,
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            # The first figures are replaced by those of the reanalysis proper.
            Tier("warm", timedelta(days=100), timedelta(days=30)),
        ),
        span=_SPAN,
        lag=timedelta(days=1),
        documentation="https://open-meteo.com/en/docs/historical-weather-api",
    )
    config_type: ClassVar[type[Config]] = OpenMeteoArchiveConfig

    def __init__(self, config: OpenMeteoArchiveConfig) -> None:
        self._config = config

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into months of 31 days."""
        return cut(start, end, span=_SPAN)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for the days of the window."""
        window, days = dates(partition)
        url = f"{self._config.base_url}/v1/archive"
        return asked(self._config, url, days=days, window=window)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:  # noqa: ARG002
        """Read observed values."""
        return page(self._config, request, answer, issue=None)

    def discover(self) -> Request | None:
        """Nothing lists the series: they are what the config names."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return an hourly table in which one value is none."""
        return Example(
            OpenMeteoArchiveConfig(
                places=(Place(name="berlin", latitude=52.52, longitude=13.41),),
                hourly=("temperature_2m",),
            ),
            Partition(
                "20260110T0000Z-20260111T0000Z",
                datetime(2026, 1, 10, tzinfo=UTC),
                datetime(2026, 1, 11, tzinfo=UTC),
            ),
            (example_answer(),),
        )
