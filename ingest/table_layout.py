"""What the owner of a source declares about its tables: roles of columns, and forms."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ingest.contract import Config
from ingest.errors import InvalidLayout
from ingest.layout import UploadLayout, check_zone

TableFormat = Literal["csv", "ndjson", "json", "parquet", "arrow"]


class TableLayout(Config):
    """The columns of a table, and how its times and numbers are to be understood."""

    series_columns: tuple[str, ...] = Field(
        default=(), description="columns that together name the series of a row"
    )
    series_key: str | None = Field(
        default=None,
        description="the series of all rows, or the first part of their keys",
    )
    ts_column: str | None = Field(
        default="ts",
        description="the column of times; none if a table holds the one moment at "
        "which its window starts",
    )
    value_columns: tuple[str, ...] = Field(
        default=("value",),
        min_length=1,
        description="columns of values; of several, each is a series of its own name",
    )
    published_column: str | None = Field(
        default=None, description="the column of times since when a row is known"
    )
    issued_column: str | None = Field(
        default=None, description="the column of times at which a row was forecast"
    )
    time_format: str = Field(
        default="iso",
        description="iso, epoch_s, epoch_ms, or a pattern such as %d.%m.%Y %H:%M",
    )
    timezone: str | None = Field(
        default=None, description="the zone of times without an offset"
    )
    stamp: Literal["start", "end"] = Field(
        default="start", description="whether a time starts or ends its interval"
    )
    frequency: str | None = Field(
        default=None, description="the step between rows, needed for ends"
    )
    ambiguous: Literal["infer", "reject"] = Field(
        default="infer", description="what becomes of times that came twice in autumn"
    )
    delimiter: str = Field(default=",", description="between the cells of a CSV file")
    decimal: Literal[".", ","] = Field(
        default=".", description="the decimal mark of numbers in text"
    )
    thousands: Literal["", ".", ",", " ", "'"] = Field(
        default="", description="the mark between groups of three digits"
    )
    missing: tuple[str, ...] = Field(
        default=(), description='further texts that mean "no value", such as -999'
    )
    typed_as_text: bool = Field(
        default=False,
        description="whether times and values are texts in Parquet and Arrow files; "
        "where not, texts there count as a change of the source",
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        # Here and not with the rest, so that the field is named.
        if name is not None:
            try:
                check_zone(name)
            except InvalidLayout as error:
                raise ValueError(error.detail) from error
        return name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            self.upload()
        except InvalidLayout as error:
            raise ValueError(error.detail) from error
        if self.thousands == self.decimal:
            message = "one mark cannot be both decimal and between thousands"
            raise ValueError(message)
        roles = self.columns
        if len(set(roles)) != len(roles):
            message = f"one column cannot be two things: {', '.join(roles)}"
            raise ValueError(message)
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of keys and times."""
        times = (self.ts_column, self.published_column, self.issued_column)
        return (*self.series_columns, *(name for name in times if name is not None))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*self.texts, *self.value_columns)

    def upload(self) -> UploadLayout:
        """Return the layout of one value column after its key has been made.

        Raises:
            InvalidLayout: the fields do not fit together.
        """
        return UploadLayout(
            "csv",
            series_column="\0series",
            ts_column="\0ts" if self.ts_column is None else self.ts_column,
            value_column=self.value_columns[0],
            timezone=self.timezone,
            stamp=self.stamp if self.ts_column is not None else "start",
            frequency=self.frequency,
            ambiguous=self.ambiguous,
            delimiter=self.delimiter,
            decimal=self.decimal,
            missing=self.missing,
        )
