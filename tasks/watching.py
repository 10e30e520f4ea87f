"""Scoring what is new in stored series, from states that remember their past."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from db import feedback, observations, stream_states
from db.session import Connection
from db.stream_states import NewState, StreamState
from tasks.analysis_options import FEWEST_OBSERVATIONS, Asked, naive
from tasks.errors import InvalidData
from tasks.inputs import aware, common_step, rfc3339

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.levels import Levels
    from analysis.records import AnalysisOptions, Anomaly
    from analysis.stream import Stream
    from db.series import Series

    Times = NDArray[np.datetime64]
    Floats = NDArray[np.float64]


_AHEAD = timedelta(days=3)
"""How far ahead of now a value may lie: prices of tomorrow are known today."""


_MOVED = 3
"""Latest observations beside the grid of a series after which it is another grid."""
_MOST_STRAY = 0.1
"""Share of a history that may lie beside the grid."""
_SIZE = 4
_LEVELS = 1
"""Which version of the state of lasting changes; one of the stream's is beside it."""


@dataclass(frozen=True)
class Watch:
    """A watch: its name, how it judges, and how much history it begins with."""

    name: str
    asked: Asked
    history: int
    heeds: bool
    """Whether what people said of a series counts."""
    now: datetime


@dataclass(frozen=True)
class Seen:
    """What was new in a series, and the state after it.

    ``version`` is that of the state it was made from, 0 for none: who writes ``state``
    must find the same one still there.
    """

    series_id: int
    unique_id: str
    version: int
    state: NewState
    since: datetime | None
    points: int
    anomalies: "list[Anomaly]" = field(default_factory=list)
    remark: str = ""


def see(
    connection: Connection, *, tenant_id: int, watch: Watch, series: "Sequence[Series]"
) -> tuple[list[Seen], list[dict[str, str]]]:
    """Score what has come to some series since they were last seen.

    Nothing is written. A series that is seen for the first time is learnt from its
    history, of which nothing is reported; so is one whose state cannot go on, but
    then what is new is.

    Args:
        connection: sees the rows of the tenant.
        tenant_id: whose series they are.
        watch: how to judge.
        series: which to look at.

    Returns:
        What was seen, and the series that could not be scored, with the reason.
    """
    ids = [one.id for one in series]
    states = stream_states.load(
        connection, tenant_id=tenant_id, series_ids=ids, name=watch.name
    )
    said: Mapping[int, Sequence[feedback.Label]] = {}
    if watch.heeds:
        said = feedback.of_series(connection, tenant_id=tenant_id, series_ids=ids)
    done: list[Seen] = []
    failed: list[dict[str, str]] = []
    for one in series:
        look = _Look(connection, watch, one, said.get(one.id, ()))
        try:
            seen = look.seen(states.get(one.id))
        except InvalidData as error:
            failed.append({"unique_id": one.key, "detail": str(error)})
            continue
        if seen is not None:
            done.append(seen)
    return done, failed


@dataclass(frozen=True)
class Ear:
    """What listens to a series: for strange points, and for lasting changes."""

    stream: "Stream"
    levels: "Levels"

    def packed(self) -> bytes:
        """Return both states as bytes: the length of the first, it, and the other."""
        from analysis.packing import pack

        stream = pack(self.stream)
        levels = zlib.compress(orjson.dumps(self.levels.as_state()), 1)
        return len(stream).to_bytes(_SIZE, "big") + stream + levels


def _format() -> int:
    from analysis.packing import VERSION

    return 10 * VERSION + _LEVELS


class _Look:
    """One look at one series."""

    def __init__(
        self,
        connection: Connection,
        watch: Watch,
        one: "Series",
        said: Sequence[feedback.Label],
    ) -> None:
        self._connection = connection
        self._watch = watch
        self._one = one
        self._said = said

    def seen(self, state: StreamState | None) -> Seen | None:
        """Go on from a state; None where nothing is new."""
        if state is None:
            return self._anew(None)
        options = self._options(str(state.settings.get("frequency")))
        ear = self._unpacked(state, options)
        if ear is None:
            return self._anew(state)
        times, values = self._read(start=state.upto)
        fitting = ear.stream.takes(times)
        if not fitting.any() and len(times) < _MOVED:
            return None
        if _has_moved(fitting):
            return self._anew(state)
        return self._pushed(ear, (times, values, fitting), state)

    def _unpacked(self, state: StreamState, options: "AnalysisOptions") -> "Ear | None":
        from analysis.levels import Levels
        from analysis.packing import OtherVersion, unpack

        if state.format != _format() or state.settings != self._settings(options):
            return None
        size = int.from_bytes(state.packed[:_SIZE], "big")
        stream, levels = (
            state.packed[_SIZE : _SIZE + size],
            state.packed[_SIZE + size :],
        )
        try:
            known = orjson.loads(zlib.decompress(levels))
            return Ear(
                unpack(stream, options=options),
                Levels.from_state(known, options=options),
            )
        except OtherVersion:
            return None

    def _anew(self, state: StreamState | None) -> Seen | None:
        """Begin from the history; report what is newer than the state knew."""
        from analysis.grid import on_grid
        from analysis.levels import Levels
        from analysis.records import InvalidSeries
        from analysis.stream import Stream

        times, values = self._read()
        times, values = times[-self._watch.history :], values[-self._watch.history :]
        if len(times) < FEWEST_OBSERVATIONS:
            raise InvalidData(
                f"{len(times)} observations are too few to know what is expected; "
                f"at least {FEWEST_OBSERVATIONS} are needed"
            )
        frequency = self._one.frequency or common_step(times)
        options = self._options(frequency)
        ear = Ear(Stream(options), Levels(options))
        fitting = on_grid(times, frequency=frequency)
        stray = len(times) - int(fitting.sum())
        if stray > _MOST_STRAY * len(times) or _has_moved(fitting):
            raise InvalidData(
                f"{stray} of {len(times)} observations are no steps of {frequency!r}, "
                f"the latest at {rfc3339(times[~fitting][-1])}: give the series the "
                "frequency that it has, or load it on its grid"
            )
        try:
            return self._pushed(ear, (times, values, fitting), state, anew=True)
        except InvalidSeries as error:
            raise InvalidData(str(error)) from error

    def _pushed(
        self,
        ear: "Ear",
        rows: "tuple[Times, Floats, NDArray[np.bool_]]",
        state: StreamState | None,
        *,
        anew: bool = False,
    ) -> Seen:
        from analysis.verdicts import anomaly_of

        times, values, fitting = rows
        remarks = _remarks(rows, ear.stream.options.frequency, anew=anew)
        upto = None if state is None else naive(state.upto)
        found: dict[tuple[np.datetime64, str], Anomaly] = {}
        fresh = 0
        verdict = None
        steps = zip(times[fitting], values[fitting].tolist(), strict=True)
        for time, value in steps:
            lasting = ear.levels.push(ear.stream, value, time=time)
            verdict = ear.stream.push(value, time=time)
            if upto is None or time < upto:
                continue
            fresh += 1
            for anomaly in (anomaly_of(verdict), lasting):
                if anomaly is not None:
                    # A gap or a flatline that goes on is the one that began.
                    found[(anomaly.start, anomaly.kind)] = anomaly
        if verdict is None:
            raise InvalidData("there is nothing to learn from")
        points = int(fitting.sum())
        points += 0 if anew or state is None else state.points
        kept = NewState(
            self._one.id,
            _format(),
            self._settings(ear.stream.options),
            ear.packed(),
            points,
            aware(verdict.end),
        )
        return Seen(
            self._one.id,
            self._one.key,
            0 if state is None else state.version,
            kept,
            None if state is None else state.upto,
            fresh,
            list(found.values()),
            "; ".join(remarks),
        )

    def _options(self, frequency: str) -> "AnalysisOptions":
        unit = self._one.unit or ""
        return self._watch.asked.options(frequency, self._said, unit=unit)

    def _settings(self, options: "AnalysisOptions") -> dict[str, Any]:
        """Return what a state depends on; with anything else it begins anew."""
        # A unit is only for the words: one that is told later changes no state.
        given = {**vars(options), "unit": ""}
        told = {name: str(said) for name, said in given.items() if name != "focus"}
        mark = hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS))
        return {"frequency": options.frequency, "mark": mark.hexdigest()[:32]}

    def _read(self, start: datetime | None = None) -> "tuple[Times, Floats]":
        # A row dated by mistake to some far year would blind the watch until then.
        end = self._watch.now + _AHEAD
        return observations.read(
            self._connection, series_id=self._one.id, start=start, end=end
        )


def _has_moved(fitting: "NDArray[np.bool_]") -> bool:
    """Say whether the latest points are all beside the grid: it is theirs no more."""
    return len(fitting) >= _MOVED and not fitting[-_MOVED:].any()


def _remarks(
    rows: "tuple[Times, Floats, NDArray[np.bool_]]", frequency: str, *, anew: bool
) -> list[str]:
    times, _, fitting = rows
    found = ["learnt from its history"] if anew else []
    stray = times[~fitting]
    if len(stray):
        found.append(
            f"{len(stray)} observations that are no steps of {frequency!r} were left "
            f"out, the latest at {rfc3339(stray[-1])}"
        )
    return found
