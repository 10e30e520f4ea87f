from db.ids import new_id


def test_an_id_names_its_thing_and_is_never_given_twice():
    ids = [new_id("job") for _ in range(1_000)]
    assert all(one.startswith("job_") and len(one) == len("job_") + 32 for one in ids)
    assert len(set(ids)) == len(ids)


def test_ids_sort_by_age():
    ids = [new_id("job") for _ in range(1_000)]
    assert ids == sorted(ids)
