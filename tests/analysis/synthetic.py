"""Seeded clean seasonal series and anomalies planted into them."""

from dataclasses import dataclass

import numpy as np

START = np.datetime64("2024-01-01T00:00:00", "us")
HOUR = np.timedelta64(1, "h")


def hours(count):
    return START + np.arange(count) * HOUR


def clean(count, *, seed, noise=1.0):
    """A daily wave, a weekend, a slow trend and independent noise around 100."""
    rng = np.random.default_rng(seed)
    steps = np.arange(count)
    day = 10 * np.sin(2 * np.pi * steps / 24) + 4 * np.cos(4 * np.pi * steps / 24)
    weekend = -6.0 * (steps // 24 % 7 >= 5)
    return 100 + day + weekend + 0.002 * steps + noise * rng.standard_normal(count)


@dataclass(frozen=True)
class Planted:
    start: int
    stop: int
    kind: str


def plant(values, *, seed, size=8.0):
    """Put two of each kind at places that do not touch, sized in noise deviations."""
    rng = np.random.default_rng(seed)
    spoilt = values.copy()
    kinds = list(rng.permutation(["spike", "dip", "level_shift", "flatline"] * 2))
    room = (len(values) - 400) // len(kinds)
    planted = []
    for place, kind in enumerate(kinds):
        start = 300 + place * room + int(rng.integers(0, room // 3))
        length = {"spike": 1, "dip": 1, "flatline": 12}.get(kind, room // 2)
        sign = {"spike": 1, "dip": -1}.get(kind, rng.choice([-1, 1]))
        if kind == "flatline":
            spoilt[start : start + length] = spoilt[start]
        else:
            spoilt[start : start + length] += sign * size * rng.uniform(1, 1.5)
        planted.append(Planted(start, start + length, kind))
        if kind == "level_shift":
            planted.append(Planted(start + length, start + 2 * length, kind))
    return spoilt, planted


def match(analysis, planted):
    """Count planted events that were found, named, and events that are none.

    A level shift is found by an event that begins within a cycle of it.
    """
    events = [
        (
            int((event.start - analysis.times[0]) / HOUR),
            int((event.end - analysis.times[0]) / HOUR),
            event.kind,
        )
        for event in analysis.anomalies
    ]
    real, named, used = 0, 0, set()
    for truth in planted:
        stop = truth.start + 24 if truth.kind == "level_shift" else truth.stop
        hits = [
            number
            for number, (start, end, _) in enumerate(events)
            if start < stop and end > truth.start
        ]
        used.update(hits)
        real += bool(hits)
        named += any(events[number][2] == truth.kind for number in hits)
    return real, named, len(events) - len(used)
