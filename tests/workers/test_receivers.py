import json

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.receivers import Receivers

TO = ["a@x.example", "b@x.example", "c@x.example"]
BODY = '{"subject": "s", "text": "t"}'
CODES = st.sampled_from([250, 421, 450, 550, 554])


def test_all_are_left_at_first_and_none_when_all_are_taken():
    first = Receivers.of(BODY, TO)
    assert (first.left, first.told) == (TO, {"subject": "s", "text": "t"})
    done = first.after({})
    assert (done.left, done.refused) == ([], [])
    assert json.loads(done.body) == json.loads(BODY)


def test_who_is_no_receiver_any_more_is_not_asked_again():
    first = Receivers.of(BODY, TO).after({TO[2]: (450, "later")})
    assert Receivers.of(first.body, TO).left == [TO[2]]
    assert Receivers.of(first.body, TO[:2]).left == []


def test_who_was_refused_is_asked_again_only_when_somebody_wants_it():
    first = Receivers.of(BODY, TO).after({TO[0]: (550, "no"), TO[1]: (450, "later")})
    then = Receivers.of(first.body, TO)
    assert (then.left, then.refused, then.code, then.said) == (
        *([TO[1]], [TO[0]]),
        *(550, "no"),
    )
    done = then.after({})
    assert (done.left, done.refused) == ([], [TO[0]])
    # Whoever sends it again by hand means those that have not got it.
    asked = Receivers.of(done.body, TO)
    assert (asked.left, list(asked.refused)) == ([TO[0]], [])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(st.sampled_from(TO), CODES), max_size=5))
def test_each_receiver_gets_it_once_whatever_the_server_answers(rounds):
    body, got = BODY, []
    for replies in rounds:
        whom = Receivers.of(body, TO)
        wrong = {
            one: (code, "no")
            for one, code in replies.items()
            if one in whom.left and code != 250
        }
        got += [one for one in whom.left if one not in wrong]
        after = whom.after(wrong)
        body = after.body
        if not after.left:
            break
    assert len(got) == len(set(got))
    rest = Receivers.of(body, TO) if got != TO and set(got) != set(TO) else None
    if rest:
        assert {*got, *rest.left, *rest.refused} == set(TO)
