"""What SGLang's scheduler does with requests that wait. Runs in the engine's Python."""

from __future__ import annotations

from types import SimpleNamespace

from sglang.srt.constrained.grammar_manager import GrammarManager
from sglang.srt.managers.schedule_policy import SchedulePolicy
from sglang.srt.managers.scheduler import Scheduler


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


def idle_grammar():
    """Whether an idle scheduler sleeps while a grammar is compiled, and without one."""
    grammars = GrammarManager.__new__(GrammarManager)
    return [sleeps(grammars, waiting) for waiting in (["a request"], [])]


def sleeps(grammars, waiting):
    slept = []
    grammars.grammar_queue = waiting
    sleeper = SimpleNamespace(maybe_sleep=lambda: slept.append(True))
    Scheduler.maybe_sleep_on_idle(SimpleNamespace(idle_sleeper=sleeper, grammar_manager=grammars))
    return bool(slept)


PROBES = {"queue-fairness": queue_fairness, "idle-grammar": idle_grammar}
