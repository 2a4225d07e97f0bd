"""How often tokens may be asked for."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.gateway.throttling import AT_ONCE, WAITING, Rate, Throttle, TooOften


def admitted(throttle: Throttle, client: str, now_s: float) -> bool:
    try:
        with throttle.admitted(client, now_s):
            return True
    except TooOften:
        return False


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 20)), max_size=60))
def test_in_no_span_more_than_the_burst_and_one_for_each_interval(asked: list[tuple[str, float]]) -> None:
    own, overall = Rate(3, 2.0), Rate(5, 0.5)
    throttle = Throttle(own, overall)
    let_in = [(client, at) for client, at in sorted(asked, key=lambda each: each[1]) if admitted(throttle, client, at)]
    for rate, times in ((overall, [at for _, at in let_in]), *((own, [at for client, at in let_in if client == each]) for each in "ab")):
        for first, start in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= rate.burst + (times[last] - start) / rate.every_s + 1e-6


def test_who_is_sent_away_is_told_when_and_is_let_in_then() -> None:
    throttle = Throttle(Rate(2, 3.0), Rate(100, 0.1))
    assert [admitted(throttle, "a", 0.0) for _ in range(3)] == [True, True, False]
    with pytest.raises(TooOften) as caught, throttle.admitted("a", 0.0):
        pass
    assert caught.value.after_s == 3
    assert admitted(throttle, "b", 0.0)
    assert admitted(throttle, "a", 3.0)


def test_no_more_are_hashed_at_a_time_than_may_be_and_no_more_wait() -> None:
    throttle, inside, most, away = Throttle(), [0], [0], [0]
    lock = threading.Lock()

    def work(number: int) -> None:
        try:
            with throttle.admitted(f"c{number}", 0.0):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.05)
                with lock:
                    inside[0] -= 1
        except TooOften:
            with lock:
                away[0] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WAITING + 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= AT_ONCE
    assert 0 < away[0] <= 6
