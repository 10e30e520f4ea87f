import pickle

import pytest

from tasks import errors
from tasks.errors import FieldError, InvalidData, InvalidParams, SourceUnavailable


@pytest.mark.parametrize(
    "error",
    [
        InvalidParams("bad", (FieldError("/params/a", "no"),)),
        InvalidData("bad"),
        SourceUnavailable("away", retry_after_s=7.0),
        errors.NotFound("no job"),
        errors.StateConflict("ended"),
        errors.JobCancelled(),
        errors.JobTimedOut("too long"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_between_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_the_words_of_an_error_are_its_detail_alone():
    assert str(InvalidParams("bad", (FieldError("/a", "no"),))) == "bad"
    assert str(SourceUnavailable("away", 7)) == "away"
