"""The order in which SGLang's scheduler takes waiting requests. Runs in the engine's Python."""

from __future__ import annotations

from types import SimpleNamespace

from sglang.srt.managers.schedule_policy import SchedulePolicy


def waiting_request(name, cached_tokens):
    return SimpleNamespace(rid=name, prefix_indices=[0] * cached_tokens)


def queue_fairness():
    """How many newcomers with a longer cached prefix are taken before a request without one. None: all of them."""
    queue = [waiting_request("first", 0)]
    for newcomers in range(300):
        queue.append(waiting_request(f"newcomer {newcomers}", 10))
        SchedulePolicy._sort_by_longest_prefix(queue, set())
        if queue.pop(0).rid == "first":
            return newcomers
    return None


PROBES = {"queue-fairness": queue_fairness}
