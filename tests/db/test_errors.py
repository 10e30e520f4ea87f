import pickle

from db.errors import Fenced


def test_fenced_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(Fenced("job_1", 2)))
    assert (error.job_id, error.attempt) == ("job_1", 2)
    assert str(error) == "attempt 2 of job_1 was fenced off"
