"""Which worker answered a session last, of the sessions that were used last."""

from __future__ import annotations

from rbee.queen.tasks.sessions import Place, Sessions


def test_a_session_is_that_of_a_caller_a_model_and_a_key() -> None:
    sessions = Sessions()
    session = sessions.of("me", "m", "k")
    assert session.place is None
    session.place = Place("node", "worker-1")
    assert sessions.of("me", "m", "k").place == Place("node", "worker-1")
    for other in (("you", "m", "k"), ("me", "n", "k"), ("me", "m", "l")):
        assert sessions.of(*other).place is None


def test_the_one_that_was_not_used_for_the_longest_time_is_forgotten() -> None:
    sessions = Sessions(most=2)
    for key in ("a", "b"):
        sessions.of("me", "m", key).place = Place("node", key)
    sessions.of("me", "m", "a")
    sessions.of("me", "m", "c")
    assert sessions.of("me", "m", "a").place == Place("node", "a")
    assert sessions.of("me", "m", "b").place is None
