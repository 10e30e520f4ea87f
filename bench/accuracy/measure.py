"""One collection measured: "auto", every bare model, and what was published."""

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import auto, kept, recursive
from bench.accuracy.baselines import BARE, NAIVE2, Bare, run
from bench.accuracy.loaders import SOURCES
from bench.accuracy.scores import score
from bench.accuracy.windows import LEVELS, Collection, Cut, Forecasts
from forecasting.arrays import FloatArray


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured, from where, and where forecasts are kept."""

    folder: Path
    cache: Path
    cut: Cut
    model: str = "auto"
    bare: bool = True
    auto: bool = True


def measure(name: str, plan: Plan) -> dict[str, Any]:
    """Return the row of a collection, as JSON can hold it.

    Raises:
        StopIteration: no collection has this name.
    """
    source = next(one for one in SOURCES if one.name == name)
    collection = source.load(plan.folder, plan.cut)
    made = _bare(collection, plan) if plan.bare else {}
    reference = _reference(collection)
    return {
        **_about(collection),
        "auto": _auto(collection, plan, reference) if plan.auto else None,
        "bare": {
            model: _judged(collection, found, reference)
            for model, (found, _) in made.items()
        },
        "published": _published(collection, reference),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "code": kept.room_code(),
    }


def _about(collection: Collection) -> dict[str, Any]:
    return {
        "name": collection.name,
        "title": collection.title,
        "series": collection.series,
        "horizon": collection.horizon,
        "cutoffs": len(collection.panels),
        "metric": collection.metric,
        "aim": collection.aim,
        "told": collection.told,
    }


def _bare(collection: Collection, plan: Plan) -> dict[str, Any]:
    local = kept.content(collection, besides=False)
    found = {
        bare.name: _kept_bare(bare, collection, plan, local)
        for bare in BARE
        if bare.suits(collection)
    }
    path = _path(
        plan, kept.content(collection), recursive.NAME, kept.bare_code(recursive.NAME)
    )
    found[recursive.NAME] = kept.forecasts(
        path, lambda: (recursive.run(collection), {})
    )
    return found


def _kept_bare(bare: Bare, collection: Collection, plan: Plan, digest: str) -> Any:
    path = _path(plan, digest, bare.name, kept.bare_code(bare.name))
    return kept.forecasts(path, lambda: (run(bare, collection), {}))


def _path(plan: Plan, digest: str, model: str, code: str) -> Path:
    word = "".join(letter if letter.isalnum() else "-" for letter in model)
    return plan.cache / "forecasts" / f"{digest}-{word}-{code}.npz"


def _auto(collection: Collection, plan: Plan, reference: FloatArray) -> dict[str, Any]:
    def make() -> tuple[Forecasts, dict[str, Any]]:
        answer = auto.run(collection, model=plan.model)
        told = {"models": answer.models, "complaints": answer.complaints}
        return answer.forecasts, told

    digest, code = kept.content(collection), kept.room_code()
    found, told = kept.forecasts(_path(plan, digest, plan.model, code), make)
    return {**_judged(collection, found, reference), **told}


def _reference(collection: Collection) -> FloatArray:
    """Return Naive2's forecasts: the competition's own where it has any."""
    official = [window.naive2 for window in collection.windows]
    if all(row is not None for row in official):
        return np.array(official)
    return run(next(one for one in BARE if one.name == NAIVE2), collection).mean


def _judged(
    collection: Collection, found: Forecasts, reference: FloatArray
) -> dict[str, Any]:
    return {
        **score(collection, found, naive2=reference),
        "seconds": found.seconds,
        "fallbacks": found.fallbacks,
    }


def _published(collection: Collection, reference: FloatArray) -> dict[str, float]:
    """Return the published methods' figures, on these windows where they are known."""
    if not collection.published:
        return dict(collection.claims)
    nothing = np.full((len(reference), len(LEVELS), collection.horizon), np.nan)
    told = {
        method: score(collection, Forecasts(mean, nothing, 0.0), naive2=reference)
        for method, mean in collection.published.items()
    }
    return {method: scores[collection.metric] for method, scores in told.items()}
