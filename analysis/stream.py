"""One point at a time: a state that scores the next value without its history.

Every view turns the newest point into a surprise by its rank among its own earlier
readings; the largest, weighted, is ranked once more among its own past. So the final
probability is uniform where nothing changes, whatever the series looks like.
"""

import math
from collections import deque
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from analysis import scores
from analysis.ahead import Ahead
from analysis.clock import clock_changes, clock_steps
from analysis.pace import Pace
from analysis.past import Past
from analysis.ranks import Ranks, single
from analysis.records import NO_SEASON, AnalysisOptions, InvalidSeries
from analysis.reviews import first_season, review_due, season_of
from analysis.seen import MEMORY, Seen
from analysis.silence import Lengths, Silence
from analysis.spans import spans_apart
from analysis.verdicts import Verdict
from analysis.views import views

# Points whose forecast errors make the bounds.
_RESIDUALS = 2000
# Before so many points nothing is called strange.
_FEWEST = 12
# Share of the points seen, and the most points, in which only a stranger point
# alerts again.
_QUIET_SHARE, _QUIET_MOST = 1 / 20, 250
# The alarm threshold, in powers of ten, rises by this with every alarm and sinks by
# the budget's share of it with every point, so that in the long run the budget is
# spent whatever the series is like; an outage may move it no further than the limit.
_CORRECTION, _MOST_CORRECTION = 0.2, 1.0
# So many powers of ten beyond the alarm threshold a point is no usual one. Less finds
# more of the second ones, and raises more false alarms in series with heavy tails.
_CLEARLY = 1.0
# Share of the range of the values, and of their size, that is rounding: distances are
# kept in single precision, and sums have errors.
_ROUNDING, _LAST_BITS = 1e-6, 64 * 2.0**-52
# No surprise is larger: the logarithm of the smallest number there is.
_MOST_SURPRISE = 300.0
_MOST_MISSING = 5_000_000


class Stream:
    """The state of one series.

    Args:
        options: What to look for; `mode`, `detector`, `focus`, `impute` and
            `most_anomalous_share` have no meaning here.

    Raises:
        InvalidOptions: The frequency is not known.

    References:
        Vovk, Gammerman and Shafer (2022), Algorithmic Learning in a Random World,
        2nd ed., chapter 2.

    Example:
        >>> stream = Stream(AnalysisOptions("1h"))
        >>> start = np.datetime64("2024-01-01T00", "h")
        >>> noise = np.random.default_rng(0).normal(size=500)
        >>> said = [stream.push(x, time=start + i) for i, x in enumerate(noise)]
        >>> stream.push(30.0, time=start + np.timedelta64(500, "h")).kind
        'spike'
    """

    def __init__(self, options: AnalysisOptions) -> None:
        self.options = options
        self.pace = Pace(options.frequency)
        self.apart = spans_apart(options)
        self.zone = ZoneInfo(options.time_zone) if options.time_zone else None
        self.step_s = self.pace.seconds
        # Whether the season was seen, or is only the length of a day.
        self.cyclic = options.season not in (None, NO_SEASON)
        season = options.season or first_season(self.step_s)
        self.past = Past(season=season)
        self.ahead = Ahead()
        self.silence = Silence()
        self.seen = [Seen(one) for one in views()]
        (self.values,) = (one for one in self.seen if one.view.name == "value")
        self.totals = Ranks(MEMORY)
        self.residuals = Ranks(_RESIDUALS)
        self.correction = 0.0
        self.peaks: deque[tuple[int, float]] = deque()
        # Departures above and below that were said to be usual.
        self.tolerated = [0.0, 0.0]
        self.place: int | None = None
        self.since = 0

    def push(self, value: float, *, time: np.datetime64) -> Verdict:
        """Judge the value of a step from what came before, then learn it.

        Args:
            value: NaN is missing: it is not judged, and time goes on.
            time: UTC, after the last one and on the grid that began with the first;
                the steps between are missing.

        Raises:
            InvalidSeries: The time is not after the last, or off the grid.
        """
        place = int(time.astype("datetime64[us]").astype(np.int64))
        if self.place is not None:
            upcoming = self.pace.after(self.place)
            missing = self.pace.steps(upcoming, place, most=_MOST_MISSING)
            if missing is None:
                last = np.datetime64(self.place, "us")
                msg = f"{time} is no step after {last}, or more than {_MOST_MISSING:,}"
                msg += " steps after it; start a new stream from the history"
                raise InvalidSeries(msg)
            self._pass_over(missing, upcoming)
        return self._step(float(value), place)

    def takes(self, times: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Say of times whether they are steps after the last, as `push` wants them."""
        if self.place is None:
            return np.ones(len(times), dtype=np.bool_)
        upcoming = self.pace.after(self.place)
        return self.pace.are_steps(times, start=upcoming, most=_MOST_MISSING)

    def _pass_over(self, count: int, place: int) -> None:
        """Let steps without values pass; once nothing is remembered they only count."""
        step = self.pace.step
        run, ring = self.silence.missing, self.past.ring
        while count and not (step and run.current >= len(ring)):
            self._step(math.nan, place)
            place, count = self.pace.after(place), count - 1
            ring = self.past.ring
        if not count:
            return
        if self.zone is not None:
            ahead_of = (place, step, count)
            for later, ahead in clock_changes(
                ahead_of, zone=self.zone, step_s=self.step_s
            ):
                self.past.tell_clock(ahead, later=later)
        self.past.pass_over(count)
        self.silence.pass_over(count)
        self.place = place + step * (count - 1)

    def _step(self, value: float, place: int) -> Verdict:
        value = value if math.isfinite(value) else math.nan
        self._prepare(place)
        bounds = self._expect()
        last = self.silence.last
        # A missing value goes on with a gap, an equal one with a flatline.
        if value != last and not (math.isnan(value) and math.isnan(last)):
            self.since = place
        self.silence.add(value)
        self.past.add(value)
        self.place = place
        if math.isnan(value):
            self.ahead.skip()
            return self._missing(bounds)
        return self._judged(value, bounds)

    def _missing(self, bounds: tuple[float, float, float]) -> Verdict:
        plain = self._plain(math.nan, bounds)
        run, usual = self.silence.gap()
        if not run:
            return plain
        return _lasting(plain, "gap", (run, usual), self.silence.missing, self.since)

    def _judged(self, value: float, bounds: tuple[float, float, float]) -> Verdict:
        total, best = self._total()
        expected = bounds[0]
        surprise = self._surprise(total)
        strange = self._strange(surprise)
        onset = self._clear(surprise)
        fresh = self._fresh(total) or onset
        # What is tolerated from now on was seen here: it is not reported either.
        if self._learn(value, expected, total, onset=onset):
            self._spend(strange)
        reported = strange and self._reported(value - expected, expected)
        found = self.seen[best]
        known = math.log10(min(self.past.count, MEMORY) + 1)
        plain = replace(
            self._plain(value, bounds),
            surprise=surprise,
            score=surprise / (surprise + scores.HALF),
            strength=total / (total + known),
            is_anomaly=reported,
            alerts=reported and fresh,
            kind=_kind(value, bounds) if reported else "",
            view=found.view.name if total > 0 else "",
            reading=found.reading,
            distance=found.distance,
        )
        run, least = self.silence.flatline()
        if not run or self.apart.silent.cover(self.place or 0):
            return plain
        pair = (run, least)
        return _lasting(plain, "flatline", pair, self.silence.equal, self.since)

    def _plain(self, value: float, bounds: tuple[float, float, float]) -> Verdict:
        place = self.place or 0
        # An expectation without bounds is no more than a guess.
        known = math.isfinite(bounds[1])
        return Verdict(
            time=np.datetime64(place, "us"),
            since=np.datetime64(place, "us"),
            end=np.datetime64(self.pace.after(place), "us"),
            value=value,
            expected=bounds[0] if known else math.nan,
            lower=bounds[1],
            upper=bounds[2],
            budget=self.options.budget,
            unit=self.options.unit,
        )

    def _prepare(self, place: int) -> None:
        if self.place is None:
            self.since = place
        elif self.options.season is None and review_due(self.past.count):
            season = season_of(self.past, pace=self.pace, place=self.place)
            if season and (season != self.past.season or not self.cyclic):
                self._relearn(season)
        if self.zone is not None:
            time = np.datetime64(place, "us")
            ahead = clock_steps(time, zone=self.zone, step_s=self.step_s)
            self.past.tell_clock(ahead)

    def _relearn(self, season: int) -> None:
        """Read what is remembered again with another season."""
        old, self.cyclic = self.past, True
        values = old.latest()
        clocks = dict(old.clocks)
        self.past = Past(season=season, before=old.count - len(values))
        self.ahead = Ahead()
        self.residuals.refill(())
        floor = self._floor()
        cyclic = [one for one in self.seen if one.view.cyclic]
        for one in cyclic:
            one.restart()
        for value in values:
            if self.past.count in clocks:
                self.past.tell_clock(clocks[self.past.count])
            expected, _, _ = self._expect()
            self.past.add(value)
            if math.isnan(value):
                self.ahead.skip()
                continue
            for one in cyclic:
                one.surprise(self.past, floor=floor)
                one.learn()
            self._follow(value, expected)

    def _expect(self) -> tuple[float, float, float]:
        usual = self.past.at_phase(ahead=1) if self.cyclic else math.nan
        expected = self.ahead.expect(usual)
        if math.isnan(usual) and math.isnan(self.ahead.departures[0]):
            # After a gap nothing is left of the last departure.
            middle = self.past.median()
            expected = expected if math.isnan(middle) else middle
        if len(self.residuals) < _FEWEST:
            return expected, math.nan, math.nan
        budget = self.options.budget
        lower = expected + min(self.residuals.quantile(budget / 2), 0.0)
        upper = expected + max(self.residuals.quantile(1 - budget / 2), 0.0)
        return expected, lower, upper

    def _learn(
        self, value: float, expected: float, total: float, *, onset: bool
    ) -> bool:
        """Take the point in, unless it is to be left out; say whether it was.

        An onset is not taken for usual, nor remembered: the next one like it is found
        too, and what comes after it is expected as before. What lasts is learnt from
        the point after it.
        """
        place = self.place or 0
        if self.apart.usual.cover(place) and math.isfinite(expected):
            side = value < expected
            size = abs(value - expected)
            self.tolerated[side] = max(self.tolerated[side], size)
        if self.apart.unlearnt.cover(place):
            self.past.forget()
            self.ahead.skip()
            return False
        if onset:
            self.past.forget()
            self.ahead.skip()
            return True
        for one in self.seen:
            one.learn()
        self.totals.add(total)
        self._follow(value, expected)
        return True

    def _follow(self, value: float, expected: float) -> None:
        if math.isfinite(value - expected):
            self.residuals.add(value - expected)
        self.ahead.learn(value)

    def _total(self) -> tuple[float, int]:
        floor = self._floor()
        totals = [one.surprise(self.past, floor=floor) for one in self.seen]
        best = max(range(len(totals)), key=totals.__getitem__)
        return min(totals[best], _MOST_SURPRISE), best

    def _floor(self) -> float:
        """Return the distance up to which values are equal but for rounding."""
        low, high = self.values.middle()
        level = max(abs(low), abs(high), abs(self.values.origin))
        return _ROUNDING * (high - low) + _LAST_BITS * level

    def _surprise(self, total: float) -> float:
        """Rank the strangest view's surprise among those of earlier points."""
        ranks = self.totals
        count = len(ranks)
        if count < _FEWEST:
            return 0.0
        total = single(total)
        found = ranks.surprise(total)
        largest = ranks.ascending[-1]
        if total > largest > 0:
            # These are logarithms already: a ratio of them would mean nothing.
            found = math.log10(count + 1) + total - largest
        return min(found, _MOST_SURPRISE)

    def _strange(self, surprise: float) -> bool:
        if len(self.totals) <= _FEWEST:
            return False
        return surprise >= self.correction - math.log10(self.options.budget)

    def _clear(self, surprise: float) -> bool:
        """Say whether a point is far beyond all in a history too short to rank it.

        Not the second in a row, which is a new level; and not where many came already.
        """
        rarity = self.correction - math.log10(self.options.budget)
        short = self.past.count * self.options.budget < 1
        usual = self.correction >= _MOST_CORRECTION or math.isnan(self.past.back(1))
        return short and not usual and surprise >= rarity + _CLEARLY

    def _spend(self, strange: bool) -> None:  # noqa: FBT001 - what was spent
        """Correct the threshold for how the budget has been spent.

        References:
            Gibbs and Candes (2021), Adaptive Conformal Inference Under Distribution
            Shift, arXiv:2106.00170.
        """
        moved = self.correction + _CORRECTION * (strange - self.options.budget)
        self.correction = min(max(moved, -_MOST_CORRECTION), _MOST_CORRECTION)

    def _fresh(self, total: float) -> bool:
        """Say whether the point is stranger than all shortly before it."""
        now = self.past.count
        quiet = min(_QUIET_MOST, now * _QUIET_SHARE)
        peaks = self.peaks
        while peaks and peaks[0][0] < now - quiet:
            peaks.popleft()
        fresh = not peaks or total > peaks[0][1]
        while peaks and peaks[-1][1] < total:
            peaks.pop()
        peaks.append((now, total))
        return fresh

    def _reported(self, departure: float, expected: float) -> bool:
        """Say whether the options let a strange point be reported."""
        options = self.options
        band = max(options.min_change, options.min_change_relative * abs(expected))
        side = departure < 0
        if abs(departure) <= max(band, self.tolerated[side]):
            return band == self.tolerated[side] == 0
        if options.direction != "both" and (options.direction == "down") != side:
            return False
        return not self.apart.silent.cover(self.place or 0)


def _kind(value: float, bounds: tuple[float, float, float]) -> str:
    if value > bounds[2]:
        return "spike"
    return "dip" if value < bounds[1] else "pattern_break"


def _lasting(
    plain: Verdict, kind: str, pair: tuple[int, float], runs: Lengths, since: int
) -> Verdict:
    return replace(
        plain,
        since=np.datetime64(since, "us"),
        kind=kind,
        run=pair[0],
        usual_run=pair[1],
        run_surprise=runs.surprise(),
    )
