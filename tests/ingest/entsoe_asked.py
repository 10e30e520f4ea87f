"""What the tests of entsoe share."""

from ingest.connectors.entsoe import Entsoe, EntsoeConfig
from ingest.contract import Partition
from ingest.exchange import Request
from tests.sources import entsoe as fake
from tests.sources.truth import DAY, Truth

BE, FR = "10YBE----------2", "10YFR-RTE------C"


OPEN = Partition("open")


SECRETS = {"security_token": fake.TOKEN}


XML = "application/xml"


def entsoe(document="A44", areas=(BE,), **more):
    return Entsoe(EntsoeConfig(document=document, areas=areas, **more))


def read(answer, partition=OPEN, **more):
    return entsoe(**more).read(Request("https://a.test"), answer, partition)


def rows_of(page):
    return [row for batch in page.batches for row in batch.rows.to_pylist()]


def load(served, areas=(BE, FR), **more):
    return entsoe("A65", areas, base_url=f"{served.url}/api", **more)


def table(starts, **more):
    """Return a truth in which every third value repeats the one before."""
    truth = Truth(5, series=(BE, FR), starts=starts, **more)
    for area in truth.series:
        for before, start in zip(starts[1::3], starts[2::3], strict=False):
            truth.revise(area, start, truth.at(area, before), start + 40 * DAY)
    return truth


def by_area(values):
    """Return values by area and start; keys hold the area without its dashes."""
    areas = {"10ybe-2": BE, "10yfr-rte-c": FR}
    named = {key.partition("out:")[2].split(".")[0]: key for key, _ in values}
    assert set(named) <= set(areas)
    return {
        (areas[key.partition("out:")[2].split(".")[0]], ts): value
        for (key, ts), value in values.items()
    }
