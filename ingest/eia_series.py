"""What rows of EIA's API say of their series: titles, units, steps, zones."""

from collections.abc import Iterator

from ingest.contract import SeriesMeta
from ingest.eia_periods import rule_of
from ingest.eia_rows import UNITS, Columns, Contract, Row, describes, series_key

_NONE = "None"


def unit_of(row: Row, name: str, contract: Contract) -> str | None:
    """Return the unit that a row has for a column of values, or None."""
    found = (row[one] for one in _columns(name, contract) if row.get(one) is not None)
    return next(map(str, found), None)


def mixed_units(cut: Columns, contract: Contract) -> str | None:
    """Return what to say of a series that comes in two units, or None."""
    there = set().union(*(row for _, _, row in cut.series))
    for name in contract.data:
        for column in there.intersection(_columns(name, contract)):
            # Most pages have one unit throughout, which is all that is looked at then.
            units = [str(row.get(column)) for row in cut.rows]
            if len(set(units) - {_NONE}) <= 1:
                continue
            known: dict[int, str] = {}
            for number, unit in zip(cut.key.to_pylist(), units, strict=True):
                if unit != _NONE and known.setdefault(number, unit) != unit:
                    key = series_key(cut.series[number][0], name)
                    return f"{key} comes in {known[number]} and in {unit}"
    return None


def _columns(name: str, contract: Contract) -> tuple[str, ...]:
    """Return the columns that may hold the unit of a column of values."""
    return (f"{name}-units", *(UNITS if len(contract.data) == 1 else ()))


def metas(cut: Columns, contract: Contract) -> Iterator[SeriesMeta]:
    """Yield what the rows say of their series."""
    rows = [row for _, _, row in cut.series]
    measured = {*UNITS, *(f"{name}-units" for name in contract.data)}
    names = dict.fromkeys(name for row in rows for name in row)
    telling = [name for name in names if describes(name) and name not in measured]
    for key, codes, row in cut.series:
        title = " · ".join(str(row[name]) for name in telling if row.get(name))
        rule = rule_of(contract.route, dict(zip(contract.facets, codes, strict=True)))
        for name in contract.data if key else ():
            unit = unit_of(row, name, contract)
            yield SeriesMeta(
                key=series_key(key, name),
                title=title if name == "value" else f"{title} · {name}".strip(" ·"),
                unit=unit,
                frequency=contract.step,
                timezone=rule.days_of if rule and rule.days_of else "UTC",
            )
