"""What a person reads in the terminal when the main job is done."""

from typing import Any

from embedded.demo import HORIZON, Shown

_HEAD = 6


def summary(shown: Shown, *, base: str, key: str) -> str:
    """Return the summary as text of at most 88 columns."""
    result = shown.forecast["result"]
    lines = ["", *_ingested(shown.ingest["result"]), ""]
    if shown.again:
        lines[1:1] = ["It ran at an earlier start; this is what it found then.", ""]
    lines += [f"Day-ahead forecast ({HORIZON} hours), out of sample against the naive:"]
    lines += [f"  {_judged(item)}" for item in result["series"]]
    lines += ["", *_table(result["series"][0]), ""]
    lines += [*_anomalies(shown.analysis), ""]
    lines += ["Try next (your key is in the line):", f"  {_curl(base, key)}", ""]
    lines += [
        f"Picture   {base}/console/jobs/{shown.forecast['id']}",
        f"Console   {base}/            sign in with the key below",
        f"API       {base}/docs",
        f"API key   {key}",
    ]
    return "\n".join(lines)


def _ingested(result: dict[str, Any]) -> list[str]:
    new = result["written"] + result["revised"]
    same, bad = result["unchanged"], result["quarantined"]
    return [f"Ingested {new:,} observations ({same:,} unchanged, {bad:,} rejected)."]


def _judged(item: dict[str, Any]) -> str:
    judged = item["evaluation"]
    if judged is None or judged["skill_vs_naive"] is None:
        return f"{item['unique_id']:<18} {item['model']}: too short to judge"
    baseline = judged["baseline"].replace("_", " ")
    better = judged["skill_vs_naive"]
    word = "better" if better >= 0 else "worse"
    return (
        f"{item['unique_id']:<18} {item['model']:<15} MAE {judged['mae']:>7,.0f} MW, "
        f"{abs(better):.0%} {word} than {baseline}, {judged['windows']} windows"
    )


def _table(item: dict[str, Any]) -> list[str]:
    levels = list(item["points"][0]["q"])
    head = f"  {item['unique_id']:<22}{'mean':>10}" + "".join(
        f"{'q' + level:>10}" for level in levels
    )
    rows = [
        f"  {point['ds']:<22}{point['mean']:>10,.0f}"
        + "".join(f"{point['q'][level]:>10,.0f}" for level in levels)
        for point in item["points"][:_HEAD]
    ]
    return [head, *rows, f"  ... {len(item['points']) - _HEAD} more"]


def _anomalies(job: dict[str, Any]) -> list[str]:
    items = job["result"]["series"]
    total = sum(len(item["anomalies"]) for item in items)
    month = job["params"]["from"][:7]
    lines = [f"Anomalies of {month}: {total} in {len(items)} series"]
    for item in items:
        lines += [
            f"  {item['unique_id']}: {one['kind'].replace('_', ' ')}, {one['severity']}"
            f"\n    {one['explanation']}"
            for one in item["anomalies"][:2]
        ]
    return lines


def _curl(base: str, key: str) -> str:
    body = '{"type":"forecast.run","params":{"series":["pjm.comed.load"],"horizon":48}}'
    return (
        f"curl -s {base}/v1/jobs -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -H 'Prefer: wait=60' -d '{body}'"
    )
