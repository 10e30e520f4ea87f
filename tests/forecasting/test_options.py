import pytest

from forecasting.errors import InvalidSeries
from forecasting.options import ForecastOptions, check_options


def check(**wish):
    options = ForecastOptions(**({"horizon": 2, "frequency": "D"} | wish))
    check_options(options, known=("naive",))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"horizon": 0}, "horizon is 0"),
        ({"windows": 0}, "windows is 0"),
        ({"season": -1}, "season is -1"),
        ({"quantiles": (0.5, 1.0)}, r"quantile 1\.0 is not strictly between"),
        ({"quantiles": (float("nan"),)}, "quantile nan"),
        ({"quantiles": (0.5, 0.5)}, "repeat a level"),
        ({"model": "oracle"}, "choose one of auto, naive"),
    ],
)
def test_a_wish_without_sense_is_refused(wish, message):
    with pytest.raises(InvalidSeries, match=message):
        check(**wish)


def test_a_sensible_wish_passes():
    check(model="naive", season=7, quantiles=())
    check(model="auto")
