"""Any source for which there is a Singer tap, run by a program the operator listed."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import Field, JsonValue, model_validator

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
from ingest.table_layout import TableLayout
from ingest.table_rows import TableBody
from ingest.verdicts import Verdict

_SECRETS = ("api_key", "token", "password")
_HOLDER = re.compile(r"\{secret:([^}]*)\}")


class SingerTapConfig(Config):
    """Which tap, what it is told, and what the columns of its records are."""

    tap: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="The name of the tap in the operator's list.",
    )
    stream: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,200}$",
        description="The stream whose records are read.",
    )
    layout: TableLayout = Field(
        default_factory=TableLayout, description="What the columns are."
    )
    settings: Mapping[str, JsonValue] = Field(
        default_factory=dict,
        description="The tap's own config; {secret:api_key} stands for a secret.",
    )
    catalog: Mapping[str, JsonValue] | None = Field(
        default=None, description="The tap's catalog, if it wants one."
    )
    start_setting: str = Field(
        default="start_date",
        description="The setting of the instant from which on records are wanted.",
    )
    end_setting: str | None = Field(
        default=None,
        description="That of the end; without it a window is read in one go.",
    )
    span_days: int = Field(
        default=31, ge=1, le=3_660, description="The longest window of one run."
    )

    @model_validator(mode="after")
    def _secrets_are_known(self) -> Self:
        for name in _HOLDER.findall(json.dumps(dict(self.settings))):
            if name not in _SECRETS:
                message = f"there is no secret {name!r}, but {', '.join(_SECRETS)}"
                raise ValueError(message)
        return self


@connector("singer_tap")
class SingerTap:
    """Records of one stream; a tap's own state is not used, the window is."""

    spec: ClassVar[Spec] = Spec(
        title="Singer tap",
        licence="That of the tap's source: the owner has to know it.",
        limits=Limits(per_second=0.1, burst=2.0),
        secrets=tuple(
            SecretField(name, name.replace("_", " ").capitalize(), required=False)
            for name in _SECRETS
        ),
        tiers=(
            Tier("hot", timedelta(days=10), timedelta(days=1)),
            Tier("warm", timedelta(days=60), timedelta(days=7)),
        ),
        span=None,
        enabled=False,
        documentation="https://github.com/singer-io/getting-started",
    )
    config_type: ClassVar[type[Config]] = SingerTapConfig

    def __init__(self, config: SingerTapConfig) -> None:
        self._config = config

    @property
    def asks_window(self) -> bool:
        """Whether the tap can be told where a window ends."""
        return self._config.end_setting is not None

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window if the tap can be told where it ends."""
        days = timedelta(days=self._config.span_days)
        return cut(start, end, span=days if self._config.end_setting else None)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask the tap for its stream since the start of the window."""
        config = self._config
        settings: dict[str, Any] = dict(config.settings)
        if partition.start is not None:
            settings[config.start_setting] = _written(partition.start)
        if partition.end is not None and config.end_setting is not None:
            settings[config.end_setting] = _written(partition.end)
        given = {"config": settings}
        if config.catalog is not None:
            given["catalog"] = dict(config.catalog)
        request = Request(
            f"singer://{config.tap}/{config.stream}",
            headers={"Content-Type": "application/json"},
            method="POST",
            body=json.dumps(given, sort_keys=True),
        )
        return (request,)

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:  # noqa: ARG002
        """Read the records."""
        moment = partition.start or answer.fetched_at
        body = TableBody(answer, "ndjson", self._config.layout, moment)
        verdict = body.verdict()
        return Page(verdict, body if verdict.cls == "ok" else ())

    def discover(self) -> Request | None:
        """A tap lists streams, not series."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return two records, of which one has no number."""
        config = SingerTapConfig(
            tap="tap-load",
            stream="load",
            layout=TableLayout(series_columns=("zone",)),
            settings={"api_key": "{secret:api_key}"},
        )
        body = (
            b'{"zone": "A", "ts": "2026-01-10T00:00:00Z", "value": 1.5}\n'
            b'{"zone": "A", "ts": "2026-01-10T01:00:00Z", "value": "x"}\n'
        )
        at = datetime(2026, 1, 10, tzinfo=UTC)
        (partition,) = cls(config).plan(at, at + timedelta(days=1))
        headers = {"content-type": "application/x-ndjson"}
        return Example(config, partition, (Answer(200, headers, at, body),))


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
