"""The main figures of results as tables."""

from web import figures, tables

CONTENDER = {
    "contender": "zscore",
    "points": 100,
    "labelled": 2,
    "found": 1,
    "alarms": 4,
    "true_alarms": 1,
    "precision": 0.25,
    "recall": 0.5,
    "f1": 1 / 3,
    "false_alarms_per_1000": 30.6,
    "average_precision": 0.4,
    "share": 0.02,
}
NAIVE = {**CONTENDER, "contender": "largest steps", "precision": None, "f1": 0.0}
WINDOW = {
    "partition": "p1",
    "start": "2026-03-01T00:00:00+00:00",
    "end": "2026-03-02T00:00:00+00:00",
    "state": "held",
    "written": 1_200,
    "revised": 3,
    "unchanged": 20,
    "rejected": 7,
    "reason": "gate",
    "detail": "too many bad rows",
}


def told(table: tables.Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_an_evaluation_shows_each_detector_beside_the_naive():
    result = {
        "overall": [CONTENDER, NAIVE],
        "series": [{"unique_id": "a", "contenders": [CONTENDER, NAIVE]}],
    }
    overall, each = figures.tables("analysis.evaluate", result)
    first = ["zscore", "0.250", "0.500", "0.333", "1 of 2", "4", "30.600"]
    assert told(overall)[0] == first
    assert told(overall)[1][:2] == ["largest steps", "n/a"]
    assert told(each)[0] == ["a", "zscore", "0.250", "0.500", "0.333", "0.400", "0.020"]


def test_a_watch_shows_what_was_scored_and_links_its_incidents():
    quiet = {"unique_id": "b", "points": 7, "upto": None, "anomalies": []}
    loud = {"unique_id": "a", "points": 48, "upto": "2026-03-01T05:00:00Z"}
    result = {
        "series": [{**loud, "anomalies": [{}, {}]}, quiet],
        "incidents": {"opened": ["inc_1"], "updated": [], "resolved": []},
        "failed": [],
    }
    counts, linked, odd = figures.tables("analysis.watch", result)
    assert dict(told(counts)) == {
        "Series with news": "2",
        "Points scored": "55",
        "Anomalies": "2",
        "Incidents opened": "1",
        "Incidents updated": "0",
        "Incidents resolved": "0",
        "Series that failed": "0",
    }
    assert linked.rows[0][1].href == "/console/incidents/inc_1"
    assert told(odd) == [["a", "48", "2026-03-01 05:00", "2"]]


def test_a_watch_without_news_shows_its_counts_alone():
    result = {"series": [], "failed": [], "incidents": {"opened": []}}
    assert len(figures.tables("analysis.watch", result)) == 1


def test_the_read_of_a_source_shows_what_became_of_each_window():
    counts = {"written": 1_200, "revised": 3, "unchanged": 20, "rejected": 7}
    result = {
        **counts,
        "source": "eia",
        "windows": [WINDOW, {"partition": "p2", "state": "empty"}],
        "windows_total": 5,
    }
    whole, windows = figures.tables("ingest.run", result)
    assert told(whole) == [["1,200", "3", "20", "0", "0", "7"]]
    stretch = "2026-03-01 00:00 to 2026-03-02 00:00"
    assert told(windows) == [
        [stretch, "held", "1,200", "3", "20", "7", "too many bad rows"],
        ["p2", "empty", "0", "0", "0", "0", ""],
    ]
    assert windows.left == 3


def test_the_load_of_a_file_shows_its_series():
    windows = [{**WINDOW, "series": f"s{at}", "rows": at} for at in range(60)]
    result = {"written": 5, "rejected_total": 2, "rejected": [{}], "windows": windows}
    whole, each = figures.tables("ingest.run", result)
    assert told(whole) == [["5", "0", "0", "0", "0", "2"]]
    assert (len(each.rows), each.left) == (tables.MOST_ROWS, 10)


def test_other_results_and_none_have_no_tables():
    assert figures.tables("system.echo", {"payload": 1}) == []
    assert figures.tables("ingest.run", None) == []
