"""The state of a stream as bytes, for a database: what is unpacked goes on the same."""

import json
import zlib
from collections import deque
from typing import Any

import numpy as np

from analysis.past import Past
from analysis.ranks import Ranks
from analysis.records import AnalysisOptions
from analysis.silence import Lengths
from analysis.stream import Stream

# A state of another version is not read: the caller starts anew from the history.
VERSION = 3
_LEVEL = 1


class OtherVersion(ValueError):
    """The bytes were packed by another version, or for another frequency or season."""


def pack(stream: Stream) -> bytes:
    """Return the state of a stream, compressed.

    Example:
        >>> options = AnalysisOptions("1h")
        >>> stream = Stream(options)
        >>> stream.push(1.0, time=np.datetime64("2024-01-01")).alerts
        False
        >>> unpack(pack(stream), options=options).past.count
        1
    """
    ahead, past = stream.ahead, stream.past
    parts: list[np.ndarray] = [np.array(past.latest(), dtype=np.float64)]
    parts += [_singles(ranks) for ranks in _ranks(stream)]
    head = {
        "version": VERSION,
        "of": _of(stream.options),
        "season": past.season,
        "cyclic": stream.cyclic,
        "clocks": past.clocks,
        "before": past.count - len(parts[0]),
        "correction": stream.correction,
        "peaks": list(stream.peaks),
        "tolerated": stream.tolerated,
        "place": stream.place,
        "since": stream.since,
        "ahead": {name: getattr(ahead, name) for name in ahead.__slots__},
        "silence": _silence(stream),
        "origins": [one.origin for one in stream.seen],
        "lengths": [len(part) for part in parts],
    }
    body = b"".join(part.tobytes() for part in parts)
    return zlib.compress(json.dumps(head).encode() + b"\n" + body, _LEVEL)


def unpack(state: bytes, *, options: AnalysisOptions) -> Stream:
    """Return the stream whose state was packed.

    Args:
        state: What `pack` returned.
        options: Those of the stream; budget, dead bands, direction, labels and
            calendar may have changed and hold for the points to come.

    Raises:
        OtherVersion: Another version of the room packed it, or the frequency, the
            given season or the time zone are others.
    """
    words, _, body = zlib.decompress(state).partition(b"\n")
    head = json.loads(words)
    if head["version"] != VERSION or head["of"] != _of(options):
        msg = (
            f"the state is of version {head['version']} for {head['of']}, not "
            f"{VERSION} for {_of(options)}; start a new stream from the history"
        )
        raise OtherVersion(msg)
    stream = Stream(options)
    values, *singles = _parts(head["lengths"], body)
    stream.past = Past(season=head["season"], values=values, before=head["before"])
    stream.past.clocks = [(count, ahead) for count, ahead in head["clocks"]]
    for name in ("cyclic", "correction", "tolerated", "place", "since"):
        setattr(stream, name, head[name])
    stream.peaks = deque((count, total) for count, total in head["peaks"])
    for name, value in head["ahead"].items():
        setattr(stream.ahead, name, value)
    for one, origin in zip(stream.seen, head["origins"], strict=True):
        one.origin = origin
    for ranks, numbers in zip(_ranks(stream), singles, strict=True):
        ranks.refill(numbers)
    _refill_silence(stream, head["silence"])
    return stream


def _of(options: AnalysisOptions) -> list[Any]:
    return [options.frequency, options.season, options.time_zone]


def _silence(stream: Stream) -> dict[str, Any]:
    kept = stream.silence
    runs = {
        name: [sorted(runs.ended.items()), runs.current]
        for name, runs in (("missing", kept.missing), ("equal", kept.equal))
    }
    names = ("last", "points", "present", "repeats")
    return {**runs, **{name: getattr(kept, name) for name in names}}


def _refill_silence(stream: Stream, packed: dict[str, Any]) -> None:
    for name, value in packed.items():
        known = value
        if name in ("missing", "equal"):
            ended, current = value
            known = Lengths(
                [(size, times) for size, times in ended], current, packed["points"]
            )
        setattr(stream.silence, name, known)


def _ranks(stream: Stream) -> list[Ranks]:
    kept = [stream.totals, stream.residuals]
    for one in stream.seen:
        kept += [one.readings, one.distances]
    return kept


def _singles(ranks: Ranks) -> np.ndarray:
    return np.array(ranks.newest_last, dtype=np.float32)


def _parts(lengths: list[int], body: bytes) -> list[Any]:
    doubles = 8 * lengths[0]
    parts = [np.frombuffer(body[:doubles], dtype=np.float64).tolist()]
    singles = np.frombuffer(body[doubles:], dtype=np.float32)
    edges = np.cumsum(lengths[1:])[:-1]
    return parts + [part.tolist() for part in np.split(singles, edges)]
