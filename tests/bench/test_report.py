"""The table that the bench prints."""

import pytest

from bench.figures import MEASURES, Line, Spread
from bench.report import table
from bench.rounds import Plan


@pytest.fixture
def printed() -> list[str]:
    lines = [
        Line(
            MEASURES[0],
            Spread(300, 250.4, 1234),
            Spread(600, 550, 650),
            Spread(0.5, 0.4, 0.6),
            False,
        ),
        Line(
            MEASURES[1],
            Spread(9000, 8000, 9500),
            Spread(600, 550, 650),
            Spread(15, 9, 20),
            True,
        ),
        Line(
            MEASURES[2],
            Spread(12.34, 9, 20),
            Spread(500, 1, 2),
            Spread(0.02, 0.01, 3),
            None,
        ),
    ]
    plan = Plan(rounds=7, burst=11)
    return table(lines, plan, {"processor": "a fast one"}, queue_type="classic").split(
        "\n"
    )


def test_the_columns_stand_under_each_other(printed):
    rows = [line for line in printed if line.startswith("|")]
    assert len(rows) == 5
    assert len({tuple(i for i, c in enumerate(row) if c == "|") for row in rows}) == 1


def test_both_sides_the_ratio_and_the_verdict_are_told(printed):
    cells = [[cell.strip() for cell in row.split("|")] for row in printed[2:5]]
    assert cells[0][2:4] == ["300 (250-1,234)", "600 (550-650)"]
    assert cells[0][4:7] == ["0.50 (0.40-0.60)", ">= 0.6", "missed"]
    assert cells[1][4:7] == ["15.00 (9.00-20.00)", ">= 10", "met"]
    assert cells[2][2:4] == ["12.3 (9.0-20.0)", "500 (1.0-2.0)"]
    assert cells[2][4:7] == ["0.02 (0.01-3.00)", "", ""]


def test_what_was_done_and_where_is_told(printed):
    said = "\n".join(printed)
    assert "7 rounds" in said
    assert "11 jobs" in said
    assert "queues: classic" in said
    assert "processor: a fast one" in said
