"""The page docs/reference/accuracy.md, drawn from the rows of all collections."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.accuracy.baselines import NAIVE2, SEASONAL_NAIVE
from bench.drawn import draw, verdict

_INTRO = """\
# Accuracy

`make bench-accuracy DATA=dir` forecasts every collection that has a file in `dir` with
`auto`, with the bare libraries' own models and with the naive ones, on the same test
parts, and puts published figures beside them. This page is what it wrote last.

The data is not part of the repository: most of it may not be passed on. A collection
whose file is missing is skipped and named. `python -m bench.accuracy --help` tells the
rest: `--only m4-hourly` measures one collection, `--sample 60` fewer series,
`--validation` the end of the training part in place of the test part (for tuning: the
test parts are looked at once, not tuned to). Forecasts are kept in `var/accuracy` by a
digest of data and code, so an interrupted run goes on, and after a change in
`forecasting/` only `auto` is measured again.

How to read it:

- **auto** is `forecast_panel` with nothing but the horizon, the frequency and the
  quantiles: no model, no season and no budget is named. Each collection and each
  cutoff is one panel.
- **OWA** is the mean of sMAPE and MASE, each beside Naive2's (M4's definition, below 1
  is better than Naive2). Where the competition left no Naive2, ours takes its place; it
  equals M4's official one on every M4 series of the bench. **MASE** is scaled by the
  seasonal naive in the history, **RMSSE** by the naive as in M5.
- **Bare** models are called as their documentation shows, one series after the other,
  with their own intervals. Of hours and half-hours they get the last 1,000
  points. AutoARIMA is measured on yearly series, and behind MSTL where there are two
  seasons: by itself it needs half a minute for a series of hours. AutoCES is measured
  without its simulated intervals, which cost ten times its mean. The bare LightGBM is
  the usual recipe: one model for the panel, lags of seasonal differences, calendar and
  covariates, one step fed back. It has no intervals.
- **WQL** is the weighted quantile loss over the deciles, all points pooled. Coverage is
  the share of all points inside the 80 % and the 95 % interval.
- **CPU s** is processor time of fits, backtests and forecasts of the whole collection
  in one process, without imports. The machine is shared: read ratios.
"""


def line(row: Mapping[str, Any]) -> str:
    """Return what is printed when a collection is done."""
    if row.get("died"):
        return f"{row['name']}: its process died"
    name, best = best_bare(row, row["metric"])
    told = [f"{row['name']}: {row['metric']}"]
    if row["auto"]:
        told.append(f"auto {_number(row['auto'][row['metric']])}")
        told.append(f"cover {_share(row['auto'], 80)} {_share(row['auto'], 95)}")
        told.append(f"WQL {_number(row['auto'].get('WQL'))}")
        told.append(f"CPU s {row['auto']['seconds']:.1f}")
        told.append(f"failed {row['auto']['fallbacks']}")
    if name:
        told.append(f"best bare {_number(best[row['metric']])} {name}")
    told.append(f"aim {row['aim']}, peak {row['peak_mib']} MiB")
    return "; ".join(told)


def best_bare(
    row: Mapping[str, Any], measure: str, *, naive: bool = False
) -> tuple[str, Mapping[str, Any]]:
    """Return the bare model with the lowest measure; nothing where there is none."""
    told = {
        name: found
        for name, found in row["bare"].items()
        if _known(found.get(measure)) and (naive or not _is_naive(name))
    }
    if not told:
        return "", {}
    name = min(told, key=lambda one: float(told[one][measure]))
    return name, told[name]


def page(rows: Sequence[Mapping[str, Any]], skipped: Mapping[str, str]) -> str:
    """Return the whole page."""
    died = [row["name"] for row in rows if row.get("died")]
    rows = [row for row in rows if not row.get("died")]
    parts = [_INTRO, "## Point forecasts", _points(rows), _met(rows)]
    parts += ["## Quantiles", _quantiles(rows), _spread(rows)]
    parts += ["## Processor time", _seconds(rows)]
    parts += ["## The collections, and every bare model", _every(rows)]
    if skipped:
        parts.append(
            f"Skipped, because their files were missing: {', '.join(skipped)}."
        )
    if died:
        parts.append(f"Ended before they were done: {', '.join(died)}.")
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _points(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("collection", "series", "h", "cutoffs", "metric", "auto", "seasonal naive")
    head = (*head, "Naive2", "best bare model", "published best", "aim", "")
    return draw(head, [_point(row) for row in rows])


def _point(row: Mapping[str, Any]) -> tuple[str, ...]:
    metric = row["metric"]
    name, best = best_bare(row, metric)
    ours = (row["auto"] or {}).get(metric)
    return (
        row["title"],
        str(row["series"]),
        str(row["horizon"]),
        str(row["cutoffs"]),
        metric,
        f"**{_number(ours)}**" if _known(ours) else "",
        *(
            _number(row["bare"].get(n, {}).get(metric))
            for n in (SEASONAL_NAIVE, NAIVE2)
        ),
        f"{_number(best[metric])} {name}" if best else "",
        _published(row),
        f"< {row['aim']:g}" if row["aim"] is not None else "",
        _aim(row),
    )


def _published(row: Mapping[str, Any]) -> str:
    if not row["published"]:
        return ""
    name = min(row["published"], key=row["published"].get)
    return f"{_number(row['published'][name])} {name}"


def _aim(row: Mapping[str, Any]) -> str:
    ours = (row["auto"] or {}).get(row["metric"])
    if row["aim"] is None or not _known(ours):
        return ""
    return verdict(ours < row["aim"])


def _met(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say in a sentence where auto is below every other column."""
    judged = [row for row in rows if row["auto"]]
    if not judged:
        return ""
    behind = [row["title"] for row in judged if not _below_all(row)]
    below = len(judged) - len(behind)
    told = f"`auto` is below the naive ones and each bare model on {below} of "
    told += f"{len(judged)} collections"
    return told + (f"; it is not on {', '.join(behind)}." if behind else ".")


def _below_all(row: Mapping[str, Any]) -> bool:
    _, best = best_bare(row, row["metric"], naive=True)
    return bool(not best or row["auto"][row["metric"]] < best[row["metric"]])


def _quantiles(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("collection", "inside 80 %", "inside 95 %", "WQL auto", "best bare WQL", "")
    drawn = []
    for row in rows:
        ours = row["auto"] or {}
        name, best = best_bare(row, "WQL", naive=True)
        found = ours.get("WQL")
        both = _known(found) and bool(best)
        drawn.append(
            (
                row["title"],
                _share(ours, 80),
                _share(ours, 95),
                _number(found, 4),
                f"{_number(best['WQL'], 4)} {name}" if best else "",
                {True: "below", False: "above", None: ""}[
                    found < best["WQL"] if both else None
                ],
            )
        )
    return draw(head, drawn)


def _spread(rows: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for percent in (80, 95):
        shares = [
            row["auto"][f"cover{percent}"]
            for row in rows
            if row["auto"] and _known(row["auto"].get(f"cover{percent}"))
        ]
        if shares:
            near = sum(abs(share - percent / 100) <= 0.02 for share in shares)  # noqa: PLR2004 - the aim: two points
            mean = f"{sum(shares) / len(shares):.1%}"
            told.append(
                f"The {percent} % interval holds {mean} on average; within two points "
                f"of nominal on {near} of {len(shares)} collections."
            )
    return "\n".join(told)


def _seconds(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("collection", "windows", "auto, CPU s", "ms a window", "best bare, CPU s")
    head = (*head, "all bare, CPU s", "peak MiB")
    drawn = []
    for row in rows:
        windows = row["series"] * row["cutoffs"]
        name, best = best_bare(row, row["metric"])
        ours = (row["auto"] or {}).get("seconds")
        everything = sum(found["seconds"] for found in row["bare"].values())
        drawn.append(
            (
                row["title"],
                str(windows),
                _number(ours, 1),
                _number(ours / windows * 1_000, 0) if _known(ours) else "",
                f"{_number(best['seconds'], 1)} {name}" if best else "",
                f"{everything:.1f}",
                str(row["peak_mib"]),
            )
        )
    return draw(head, drawn)


def _every(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(_collection(row) for row in rows)


def _collection(row: Mapping[str, Any]) -> str:
    metric = row["metric"]
    ranked = sorted(
        ((name, found) for name, found in row["bare"].items()),
        key=lambda pair: float(pair[1][metric]),
    )
    columns = [metric, *(one for one in ("sMAPE", "MASE") if one != metric)]
    head = ("", *columns, "WQL", "80 %", "95 %", "CPU s", "stood in")
    models = [("auto", row["auto"])] if row["auto"] else []
    drawn = [
        (
            name,
            *(_number(found.get(one), 2 if one == "sMAPE" else 3) for one in columns),
            _number(found.get("WQL"), 4),
            _share(found, 80),
            _share(found, 95),
            _number(found.get("seconds"), 1),
            str(found.get("fallbacks") or ""),
        )
        for name, found in (*models, *ranked)
    ]
    told = f"{row['told'][0].upper()}{row['told'][1:]}."
    return f"### {row['title']}\n\n{told}\n\n{draw(head, drawn)}"


def _is_naive(name: str) -> bool:
    return name in {SEASONAL_NAIVE, NAIVE2}


def _known(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if _known(value) else ""


def _share(found: Mapping[str, Any], percent: int) -> str:
    value = found.get(f"cover{percent}")
    return f"{value * 100:.1f}" if _known(value) else ""
