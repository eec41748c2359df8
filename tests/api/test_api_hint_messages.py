"""Hints as text, and who is woken by them."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from flowstead_server.pubsub.messages import (
    ANY_QUEUE,
    QueueHint,
    decode_queue,
    decode_runs,
    encode_queue,
    encode_runs,
)
from flowstead_server.pubsub.topics import Topics

LIMIT = 8_000
A, B = UUID(int=1), UUID(int=2)


@given(st.sets(st.uuids(), min_size=1, max_size=600))
def test_runs_survive_the_journey_in_small_messages(run_ids: set[UUID]) -> None:
    payloads = list(encode_runs(run_ids))
    assert all(0 < len(payload) < LIMIT for payload in payloads)
    assert set().union(*(decode_runs(payload) or set() for payload in payloads)) == run_ids


@given(st.uuids(), st.frozensets(st.integers(1, 2**63 - 1), min_size=1, max_size=800))
def test_queue_hints_survive_the_journey_in_small_messages(tenant_id: UUID, sets: frozenset[int]) -> None:
    payloads = list(encode_queue(QueueHint(tenant_id, sets)))
    assert all(len(payload) < LIMIT for payload in payloads)
    decoded = [decode_queue(payload) for payload in payloads]
    assert {hint.tenant_id for hint in decoded} == {tenant_id}
    assert frozenset().union(*(hint.label_set_ids or frozenset() for hint in decoded)) == sets


@given(st.text(max_size=100))
def test_unreadable_text_means_anything_may_have_happened(text: str) -> None:
    runs = decode_runs(text)
    assert runs is None or "".join(run.hex for run in runs) is not None
    hint = decode_queue(text)
    assert hint == ANY_QUEUE or hint.tenant_id is not None


async def _woken(follower: object) -> bool:
    return follower._woken.is_set()  # type: ignore[attr-defined]


async def test_only_followers_of_the_run_are_woken() -> None:
    topics = Topics()
    with topics.follow_run(A) as first, topics.follow_run(A) as second, topics.follow_run(B) as other:
        topics.wake_runs([A])
        assert await _woken(first)
        assert await _woken(second)
        assert not await _woken(other)
        topics.wake_runs(None)
        assert await _woken(other)
    assert topics.follower_count == 0


async def test_followers_of_a_queue_learn_which_sets_were_meant() -> None:
    topics = Topics()
    with topics.follow_queue(A) as follower:
        topics.wake_queues(QueueHint(A, frozenset({1, 2})))
        topics.wake_queues(QueueHint(A, frozenset({3})))
        topics.wake_queues(QueueHint(B, frozenset({4})))
        assert follower.take() == {1, 2, 3}
        assert follower.take() == frozenset()
        topics.wake_queues(ANY_QUEUE)
        assert follower.take() is None
