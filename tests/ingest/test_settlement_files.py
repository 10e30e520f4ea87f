"""Settlement files whose end is missing, and prices beside the first."""

from ingest.connectors.ice_settlements import IceSettlements, IceSettlementsConfig
from tests.ingest.wire_samples import counted, made


def test_a_report_whose_last_line_has_no_end_names_no_other_contract():
    example = IceSettlements.example()
    (answer,) = example.answers
    reader = IceSettlements(example.config)
    (request,) = reader.requests(example.partition)
    cut_off = made(answer.body.removesuffix(b"1\n"))
    page = reader.read(request, cut_off, example.partition)
    assert counted(page) == ("transient", 0, 0, 0)
    declared = made(cut_off.body, content_length=str(len(cut_off.body)))
    assert reader.read(request, declared, example.partition).verdict.cls == "ok"


HEADER = (
    "TRADE DATE|STRIP|CONTRACT|CONTRACT TYPE|STRIKE|SETTLEMENT PRICE|NET CHANGE|"
    "PRODUCT_ID"
)


def two_prices(row):
    config = IceSettlementsConfig(values=("SETTLEMENT_PRICE", "NET_CHANGE"))
    reader, window = IceSettlements(config), IceSettlements.example().partition
    answer = made(f"{HEADER}\n{row}\n")
    return list(reader.read(reader.requests(window)[0], answer, window).batches)


def test_a_further_price_that_is_no_number_is_named():
    first, second = two_prices("8/28/2026|9/1/2026|LN|P|2.5|0.2|x|1404")
    assert (first.rows.num_rows, first.rejected) == (1, ())
    assert (second.rows.num_rows, len(second.rejected)) == (0, 1)
    assert second.rejected[0].detail.endswith("(column NET_CHANGE)")


def test_further_prices_of_a_contract_without_a_name_are_not_called_after_themselves():
    first, second = two_prices("8/28/2026|9/1/2026||P|2.5|0.2|0.1|1404")
    assert [one.code for one in first.rejected] == ["bad_key"]
    assert [batch.rows.num_rows for batch in (first, second)] == [0, 0]
