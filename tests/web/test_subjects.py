"""What a job is about, in a few words."""

import pytest

from web.subjects import subject

FILES = {"upl_1": "load.csv"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"source": "upload", "upload": "upl_1"}, "load.csv"),
        ({"source": "upload", "upload": "upl_2"}, "upl_2"),
        ({"source": "eia", "upload": None, "mode": "incremental"}, "eia"),
        ({"source": "eia", "mode": "full"}, "eia, full"),
        ({"series": ["a", "b"], "name": "watch"}, "a, b, watch"),
        ({"series": list("abcde")}, "a, b, c and 2 more"),
        ({"series": {"tag": "pjm"}, "model": "auto"}, "tag pjm, model auto"),
        ({"series": {"source": "eia"}, "model": ["ets"]}, "source eia, model ets"),
        ({"data": [{"unique_id": "a"}, {"unique_id": "a"}, {}]}, "a, series (given)"),
        ({"name": "load-champion"}, "load-champion"),
        ({"payload": {}}, ""),
    ],
)
def test_what_a_job_is_about_is_said_in_a_few_words(params, said):
    assert subject(params, filenames=FILES) == said
