"""The page of connectors says what is on the shelf, and what is tested of it."""

from tests.contracts.traps_page import PAGE, tables, written


def test_the_page_of_connectors_shows_the_shelf_and_its_tests():
    page = PAGE.read_text(encoding="utf-8")
    told = "run python -m tests.contracts.traps_page"
    assert written(page) == page, told


def test_each_table_has_a_cell_for_each_column():
    for heading, table in tables().items():
        widths = {line.count(" | ") for line in table.splitlines()}
        assert len(widths) == 1, heading
