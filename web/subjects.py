"""What a job is about, in a few words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NAMED = 3


def subject(params: Mapping[str, Any], *, filenames: Mapping[str, str]) -> str:
    """Return what a job is about, short: a source, a file, series, a model.

    Args:
        params: of the job, as they were accepted.
        filenames: of uploads, by their ids.

    Example:
        >>> subject({"source": "eia", "mode": "backfill"}, filenames={})
        'eia, backfill'
        >>> subject({"series": {"tag": "pjm"}, "model": "auto"}, filenames={})
        'tag pjm, model auto'
    """
    return ", ".join(part for part in _subjects(params, filenames) if part)


def _subjects(
    params: Mapping[str, Any], filenames: Mapping[str, str]
) -> Iterable[str | None]:
    if upload := params.get("upload"):
        yield filenames.get(upload, upload)
    elif isinstance(source := params.get("source"), str):
        yield source
        mode = params.get("mode", "incremental")
        yield None if mode == "incremental" else str(mode)
    yield _series(params)
    if model := params.get("model"):
        yield f"model {_listed([model] if isinstance(model, str) else model)}"
    elif params.get("name") and not params.get("source"):
        yield str(params["name"])


def _series(params: Mapping[str, Any]) -> str | None:
    wanted, rows = params.get("series"), params.get("data")
    if isinstance(wanted, Mapping):
        return ", ".join(f"{kind} {name}" for kind, name in wanted.items())
    if wanted:
        return _listed(wanted)
    if isinstance(rows, list) and rows:
        found = dict.fromkeys(str(row.get("unique_id", "series")) for row in rows)
        return f"{_listed(list(found))} (given)"
    return None


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:_NAMED])
    rest = len(names) - _NAMED
    return f"{shown} and {rest:,} more" if rest > 0 else shown
