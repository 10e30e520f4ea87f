"""Which test holds each connector against each trap: one table, which tests read.

``docs/reference/connectors.md`` shows it. A connector new on the shelf has no row here,
and fails until it has one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

TRAPS: Mapping[str, str] = {
    "paging": "more than 5,000 rows: all arrive, and none twice",
    "missing": "what marks a gap becomes no value, and is counted",
    "429": "is waited out; the rows are the same",
    "5xx": "is asked again; the rows are the same",
    "html": "a page of HTML under 200 is asked again; the rows are the same",
    "truncation": "half an answer is asked again; the rows are the same",
    "drift": "a name that is gone stops the read with `schema_drift`",
    "dst": "hours that a change of clocks skips or repeats are put where they belong",
    "revision": "one other value changes one row and nothing else",
    "resume": "after a crash only what was not answered yet is asked",
}


@dataclass(frozen=True)
class Played:
    """At each call of the connector's recorded exchange, in ``test_traps.py``."""


@dataclass(frozen=True)
class Changed:
    """The recorded exchange with some bytes changed, in ``test_traps.py``.

    Attributes:
        old: the bytes.
        new: what stands in their place.
        rows: how many rows hang on them.
    """

    old: bytes
    new: bytes
    rows: int = 1


@dataclass(frozen=True)
class Long:
    """A server with a long table, in ``test_traps_paging.py``."""


@dataclass(frozen=True)
class Test:
    """A test of its own: the file in tests/ingest, and what follows ``test_``."""

    __test__ = False  # pytest takes classes of this name for tests
    file: str
    name: str


@dataclass(frozen=True)
class No:
    """The trap is not there, for a reason."""

    reason: str


Cell = Played | Changed | Long | Test | No


@dataclass(frozen=True)
class Row:
    """The cells of a connector; what is played is the same for all."""

    paging: Cell
    missing: Cell
    drift: Cell
    dst: Cell
    revision: Cell
    on_the_wire: Mapping[str, Cell] = field(
        default_factory=lambda: dict.fromkeys(
            ("429", "5xx", "html", "truncation", "resume"), Played()
        )
    )

    def cells(self) -> Mapping[str, Cell]:
        """Return the cells by trap, in the order of the table."""
        own = {name: cell for name, cell in vars(self).items() if name in TRAPS}
        mine = {**own, **self.on_the_wire}
        return {name: mine[name] for name in TRAPS}


_DATES = No("rows carry dates, or instants in UTC")
_INDIA = No("India changes no clocks")
_MIDNIGHTS = Test(
    "test_times", "the_end_of_a_day_goes_back_a_calendar_day_however_long_it_was"
)
_LAYOUT = Test("test_times", "an_autumn_pair_is_summer_time_then_standard_time")

ROWS: Mapping[str, Row] = {
    "cdo": Row(
        Long(),
        Changed(b'"value": 4.4', b'"value": null'),
        Changed(b'"datatype"', b'"kind"'),
        _DATES,
        Changed(b"4.4", b"4.5"),
    ),
    "cme_settlements": Row(
        Test(
            "test_cme_settlements",
            "early_and_final_are_two_versions_and_any_single_fault_changes_nothing",
        ),
        Changed(b'"58.41"', b'""'),
        Changed(b"SettlePrice", b"Settle"),
        Test(
            "test_cme_settlements",
            "a_price_is_of_the_midnight_of_its_trade_date_in_chicago",
        ),
        Changed(b"58.41", b"58.42"),
    ),
    "data_gov_in": Row(
        Long(),
        Changed(b'"1.51"', b'"NA"'),
        Changed(b'"quantity"', b'"amount"'),
        _INDIA,
        Changed(b"1.51", b"1.52"),
    ),
    "drop_folder": Row(
        Test("test_drop_folder", "more_than_5000_rows_come_file_by_file"),
        Changed(b"A,1\n", b"A,\n"),
        Changed(b"ts,series,value", b"ts,series,mw"),
        Test("test_drop_folder", "the_day_of_a_name_begins_at_a_local_midnight"),
        Changed(b"A,1\n", b"A,2\n"),
    ),
    "eia": Row(
        Test("test_eia_pages", "all_rows_arrive_over_pages_of_five_thousand"),
        Changed(b'"84210"', b"null"),
        Changed(b'"value":', b'"amount":'),
        Test("test_eia_pages", "daily_grid_data_starts_at_midnight_of_its_zone"),
        Changed(b"84210", b"84211"),
    ),
    "entsoe": Row(
        Long(),
        Changed(b"<price.amount>20.5</price.amount>", b"", rows=2),
        Changed(b"price.amount", b"price.value"),
        Test(
            "test_entsoe_truth",
            "days_on_which_the_clocks_change_have_all_their_hours",
        ),
        Changed(b"20.5", b"20.6", rows=2),  # it is repeated for an hour
    ),
    "entsoe_files": Row(
        No("a month is one file, whose rows are read in pieces"),
        Changed(b"8512.5", b""),
        Changed(b"TotalLoad[MW]", b"Load"),
        _DATES,
        Changed(b"8512.5", b"8512.6"),
    ),
    "fred": Row(
        Test("test_fred_vintages", "rows_past_a_hundred_thousand_are_asked_for"),
        Changed(b'"17102.5"', b'"."'),
        Changed(b'"value"', b'"amount"'),
        Test("test_fred", "a_vintage_is_known_since_the_end_of_its_day_in_chicago"),
        Changed(b"17102.5", b"17102.6"),
    ),
    "grid_india_psp": Row(
        No("a report holds one day, some hundred figures"),
        Changed(b"1090", b"-"),
        Changed(b"NR,WR,SR,ER", b"a,b,c,d"),
        _INDIA,
        Changed(b"1090", b"1091"),
    ),
    "http_table": Row(
        Test("test_http_table_pages", "more_than_5000_rows_come_page_by_page"),
        Changed(b"1.5", b"null"),
        Changed(b'"v":', b'"w":'),
        Test("test_http_table", "wall_clocks_numbers_and_letters_are_read_as_declared"),
        Changed(b"1.5", b"1.6"),
    ),
    "ice_settlements": Row(
        Test(
            "test_ice_settlements",
            "a_week_comes_through_tokens_that_run_out_and_days_without_a_file",
        ),
        Changed(b"-1.95750", b""),
        Changed(b"SETTLEMENT PRICE", b"PRICE"),
        _MIDNIGHTS,
        Changed(b"-1.95750", b"-1.95850"),
    ),
    "india_load_despatch": Row(
        No("an answer holds the moment, and nothing before it"),
        Changed(b"18210", b""),
        Changed(b"Demand", b"Load"),
        _INDIA,
        Changed(b"18210", b"18211"),
    ),
    "ncei": Row(
        Long(),
        Changed(b', "TMAX": "4.4"', b""),
        Changed(b'"DATE"', b'"DAY"'),
        _DATES,
        Changed(b"4.4", b"4.5"),
    ),
    "nws": Row(
        Long(),
        Changed(
            b'3.3, "qualityControl": "V"',
            b'null, "qualityControl": "Z"',
        ),
        Changed(b'"features"', b'"rows"'),
        _DATES,
        Changed(b"3.3", b"3.4"),
    ),
    "open_meteo": Row(
        Long(),
        Changed(b"-1.2", b"null"),
        Changed(b'"temperature_2m": [', b'"heat": ['),
        Test(
            "test_open_meteo",
            "local_times_move_back_by_the_offset_of_the_answer",
        ),
        Changed(b"-1.2", b"-1.3"),
    ),
    "open_meteo_archive": Row(
        Long(),
        Changed(b"-1.2", b"null"),
        Changed(b'"temperature_2m": [', b'"heat": ['),
        Test(
            "test_open_meteo",
            "local_times_move_back_by_the_offset_of_the_answer",
        ),
        Changed(b"-1.2", b"-1.3"),
    ),
    "s3_objects": Row(
        Test("test_s3_objects", "more_than_5000_rows_come_object_by_object"),
        Changed(b"A,1\n", b"A,\n"),
        Changed(b"ts,series,value", b"ts,series,mw"),
        _LAYOUT,
        Changed(b"A,1\n", b"A,2\n"),
    ),
    "singer_tap": Row(
        Test(
            "test_singer_tap", "more_than_5000_records_do_not_have_to_fit_into_memory"
        ),
        Changed(b"1.5", b"null"),
        Changed(b'"value"', b'"mw"'),
        _LAYOUT,
        Changed(b"1.5", b"1.6"),
    ),
    "web_table": Row(
        No("a page is read as it is, without those behind it"),
        Changed(b"1.5", b"&ndash;"),
        Changed(b"USD", b"EUR"),
        _LAYOUT,
        Changed(b"1.5", b"1.6"),
    ),
    "yahoo_chart": Row(
        Long(),
        Changed(b'"close": [57.5', b'"close": [null'),
        Changed(b'"indicators"', b'"bars"'),
        Test(
            "test_yahoo_chart",
            "the_bars_of_all_symbols_are_those_of_the_table_over_a_change_of_clocks",
        ),
        Changed(b'"close": [57.5', b'"close": [57.6'),
    ),
}
