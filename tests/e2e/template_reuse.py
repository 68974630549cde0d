"""What a prefix cache can hold at most under each chat template: `python tests/e2e/template_reuse.py ROLLOUT`.

ROLLOUT is a session as Codex keeps it, `$CODEX_HOME/sessions/…/rollout-….jsonl`. Each of its requests is rendered with
our dialects and the templates, and compared with the prompt before and what the model wrote behind it, in characters.
Templates that drop the reasoning of finished turns change the prompt at the first of it.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chat_templates import load_template, published, render

from sgcx.dialects.deepseek_r1 import DeepSeekR1, chat_template_path
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.rehearsal.checkpoint import TEMPLATE
from sgcx.responses.prompt import Sampling, ServedModel, build_engine_request
from sgcx.responses.request import parse_request

MODEL = ServedModel("m", 131_072, False, False, Sampling(1.0, 1.0), Sampling(1.0, 1.0))
TOOLS = [
    {"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {"type": "string"}}}},
    {"type": "function", "name": "update_plan", "parameters": {"properties": {"plan": {"type": "array"}}}},
    {"type": "custom", "name": "apply_patch"},
]
KIMI = load_template(TEMPLATE.read_text(encoding="utf-8"))
TEMPLATES = {
    "Kimi K2.6, `preserve_thinking`": (KimiK2(), KIMI, {}),
    "Kimi K2.6 without it": (KimiK2(), KIMI, {"preserve_thinking": False}),
    "Kimi K2 Thinking": (KimiK2(), published("kimi-k2-thinking"), {}),
    "DeepSeek-R1, our tool template": (DeepSeekR1(), load_template(chat_template_path().read_text("utf-8")), {}),
}
NOT_YET_KNOWN = "(what the tool will answer)"


def windows(rollout: Path) -> Iterator[list[dict]]:
    """The items of the session, from one compaction to the next."""
    items: list[dict] = []
    for line in rollout.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["type"] == "compacted":
            yield items
            items = list(entry["payload"].get("replacement_history") or [])
        elif entry["type"] == "response_item":
            items.append(entry["payload"])
    yield items


def is_generated(item: dict) -> bool:
    return item["type"] in ("reasoning", "function_call", "custom_tool_call") or item.get("role") == "assistant"


def requests(items: list[dict]) -> Iterator[tuple[list[dict], list[dict]]]:
    """Each input with the answer that stands behind it."""
    starts = [n for n, item in enumerate(items) if is_generated(item) and not is_generated(items[n - 1])]
    for start in starts:
        answer = list(itertools.takewhile(is_generated, items[start:]))
        yield items[:start], answer


def rendered(dialect, template, arguments, items, *, generate=True) -> str:
    request = parse_request({"input": items, "tools": TOOLS})
    job = build_engine_request(request, request_id="r", model=MODEL, dialect=dialect)
    settings = {**job.template_arguments, **arguments, "add_generation_prompt": generate}
    return render(template, list(job.messages), tools=list(job.tools), **settings)


def written(setup, items, prompt, answer) -> str:
    """The prompt and what the model wrote behind it."""
    calls = [item for item in answer if "call_id" in item]
    if not calls:
        texts = [part["text"] for item in answer for part in item["content"]]
        return prompt + "</think>".join(texts)
    outputs = [
        {"type": f"{call['type']}_output", "call_id": call["call_id"], "output": NOT_YET_KNOWN} for call in calls
    ]
    return rendered(*setup, [*items, *answer, *outputs], generate=False).partition(NOT_YET_KNOWN)[0]


def shared_length(one: str, other: str) -> int:
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def shares(setup, items) -> Iterator[float]:
    """Of every prompt but the first: what it shares with the prompt before and its answer, of the length of both."""
    held = ""
    for prompt_items, answer in requests(items):
        prompt = rendered(*setup, prompt_items)
        if held:
            yield shared_length(held, prompt) / len(held)
        held = written(setup, prompt_items, prompt, answer)


if __name__ == "__main__":
    sessions = list(windows(Path(sys.argv[1])))
    print("| template | requests | least | median | mean |", "|---|---|---|---|---|", sep="\n")
    for name, setup in TEMPLATES.items():
        found = sorted(share for items in sessions for share in shares(setup, items))
        mean = sum(found) / len(found)
        print(f"| {name} | {len(found)} | {found[0]:.1%} | {found[len(found) // 2]:.1%} | {mean:.1%} |")
