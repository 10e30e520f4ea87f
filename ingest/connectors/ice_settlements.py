"""ICE settlement reports, licensed, from its download site or from a folder."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

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
from ingest.exchange import Answer, Request, secret
from ingest.folder_steps import SFTP_SECRETS, FolderConfig
from ingest.ice_files import SHAPES, ZONE, ice_notice
from ingest.json_rows import at as found_at
from ingest.object_files import (
    Stamped,
    belongs,
    checked_pattern,
    edges_of,
    passed_over,
    published_at,
)
from ingest.settlement_files import SettlementText, workbook_page
from ingest.verdicts import Verdict, decoded, general
from ingest.workbooks import is_workbook

_SATURDAY = 5
_TOKENS = ("data.token", "result.data.token", "token")


class IceSettlementsConfig(FolderConfig):
    """Which reports, and from where."""

    base_url: str = Field(
        default="https://downloads.ice.com/Settlement_Reports_CSV",
        pattern=r"^(https?|file|sftp)://[^\s?#]+$",
        description="The download site, or a folder that reports are dropped into.",
    )
    reports: tuple[str, ...] = Field(
        default=(
            "Gas/icecleared_gas_%Y_%m_%d.dat",
            "Power/icecleared_power_%Y_%m_%d.dat",
            "Oil/icecleared_oil_%Y_%m_%d.dat",
        ),
        min_length=1,
        description="Names of reports with their date; options have their own, such "
        "as Gas/icecleared_gasoptions_%Y_%m_%d.dat.",
    )
    values: tuple[str, ...] = Field(
        default=("SETTLEMENT_PRICE",),
        description="Further columns to keep as series of their own: NET_CHANGE, "
        "OPTION_VOLATILITY, DELTA_FACTOR.",
    )
    login: bool = Field(
        default=False,
        description="Whether to log in with user and password; if not, the secret "
        "token has to hold a cookie that is valid.",
    )
    login_url: str = Field(
        default="https://sso.ice.com/api/authenticateTfa",
        pattern=r"^https?://[^\s?#]+$",
        description="Where to log in.",
    )
    app_key: str = Field(
        default="ICEDOWNLOADS",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="As whom to log in.",
    )

    @model_validator(mode="after")
    def _patterns(self) -> Self:
        for pattern in self.reports:
            checked_pattern(pattern)
            if not {"%Y", "%m", "%d"} <= {*_parts(pattern)}:
                message = f"{pattern!r} has no date: write %Y, %m and %d into it"
                raise ValueError(message)
        if self.is_site and any("*" in pattern for pattern in self.reports):
            message = "a site is asked for whole names: no *"
            raise ValueError(message)
        return self

    @property
    def is_site(self) -> bool:
        """Whether reports come over HTTP and not from a folder."""
        return self.base_url.startswith("http")


def _parts(pattern: str) -> set[str]:
    return {pattern[at : at + 2] for at, sign in enumerate(pattern) if sign == "%"}


@connector("ice_settlements")
class IceSettlements:
    """Reports of a day, one series for each contract.

    The time of a price is the first instant of its trade date in New York. A day
    without a report is not available, and one with a header alone is empty.
    """

    spec: ClassVar[Spec] = Spec(
        title="ICE settlements (reports)",
        licence="Licensed by ICE; redistribution needs their consent.",
        # 30 a minute are allowed to an account, whatever it does.
        limits=Limits(per_second=25 / 60, burst=1.0),
        secrets=(
            SecretField("token", "Cookie iceSsoCookie", required=False),
            *SFTP_SECRETS,
        ),
        tiers=(
            Tier("hot", timedelta(days=7), timedelta(days=1)),
            Tier("warm", timedelta(days=35), timedelta(days=7)),
        ),
        span=timedelta(days=7),
        lag=timedelta(hours=18),
        publication="published",
        enabled=False,
        documentation="https://www.ice.com/report-center",
    )
    config_type: ClassVar[type[Config]] = IceSettlementsConfig

    def __init__(self, config: IceSettlementsConfig) -> None:
        self._config = config
        self._folder = config.folder(
            lambda entry, partition: any(
                belongs(entry, partition, pattern=_last(pattern), zone=ZONE)
                for pattern in config.reports
            )
        )

    def login(self) -> Request | None:
        """Return what exchanges user and password for a token, if that is wanted."""
        config = self._config
        if not (config.login and config.is_site):
            return None
        fields = {
            "userId": secret("user"),
            "password": secret("password"),
            "appKey": config.app_key,
        }
        return Request(
            config.login_url,
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body="&".join(f"{name}={text}" for name, text in fields.items()),
            kept=False,
        )

    def token(self, answer: Answer) -> str | Verdict:
        """Return the token of the answer to ``login``, or why there is none."""
        if (found := general(answer)) is not None:
            return Verdict("auth", found.detail) if found.cls == "config" else found
        document = decoded(answer)
        if isinstance(document, Verdict):
            return document
        tokens = (found_at(document, path) for path in _TOKENS)
        text = next((one for one in tokens if isinstance(one, str) and one), None)
        return text or Verdict("auth", "the log-in gave no token: is 2FA asked for?")

    def plan(self, start: datetime, end: datetime) -> tuple[Partition, ...]:
        """Cut the window into weeks."""
        return cut(start, end, span=self.spec.span)

    def requests(self, partition: Partition) -> tuple[Request, ...]:
        """Ask for each report of each working day, or for the list of a folder."""
        if not self._config.is_site:
            return (self._folder.listing,)
        place = ZoneInfo(ZONE)
        days = (at.astimezone(place).date() for at in edges_of(partition, ZONE))
        return tuple(
            Request(
                f"{self._config.base_url.rstrip('/')}/{day.strftime(pattern)}",
                headers={"Cookie": f"iceSsoCookie={secret('token')}"},
                place={"step": "file", "name": day.strftime(pattern)},
            )
            for day in days
            if day.weekday() < _SATURDAY
            for pattern in self._config.reports
        )

    def read(self, request: Request, answer: Answer, partition: Partition) -> Page:
        """Read the list of a folder, a checksum, or a report."""
        if not self._config.is_site:
            page = self._folder.guarded(request, answer, partition)
            if page is not None:
                return page
        if (notice := ice_notice(answer)) is not None:
            return Page(notice)
        values = frozenset(self._config.values)
        if is_workbook(answer):
            page = workbook_page(answer, SHAPES, ZONE, values)
        else:
            page = SettlementText(answer, SHAPES, ZONE, values).page()
        if page.verdict.cls == "malformed":
            return passed_over(page.verdict)
        rows = Stamped(page.batches, published_at(request, answer))
        return Page(page.verdict, rows if page.batches else (), drift=page.drift)

    def discover(self) -> Request | None:
        """Nothing lists the contracts but the reports."""
        return None

    def listed(self, answer: Answer) -> tuple[SeriesMeta, ...] | Verdict:  # noqa: ARG002
        """Nothing is listed."""
        return ()

    @classmethod
    def example(cls) -> Example:
        """Return a day's report, in which one price is none."""
        config = IceSettlementsConfig(reports=("Gas/icecleared_gas_%Y_%m_%d.dat",))
        body = (
            b"TRADE DATE|HUB|PRODUCT|STRIP|CONTRACT|CONTRACT TYPE|STRIKE|"
            b"SETTLEMENT PRICE|NET CHANGE|EXPIRATION DATE|PRODUCT_ID\n"
            b"8/28/2026|AB-NIT|NG|9/1/2026|AEC|F||-1.95750|-0.01750|9/1/2026|451\n"
            b"8/28/2026|AB-NIT|NG|10/1/2026|AEC|F||n/a|-0.01500|10/1/2026|451\n"
        )
        at = datetime(2026, 8, 28, tzinfo=UTC)
        (partition,) = cls(config).plan(at, at + timedelta(days=1))
        answer = Answer(200, {"content-type": "text/plain"}, at, body)
        return Example(config, partition, (answer,))


def _last(pattern: str) -> str:
    return pattern.rpartition("/")[2]
