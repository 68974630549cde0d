"""SGLang's chat handler on a tokenizer manager that says what a probe wants. Runs in the engine's Python."""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus
from types import SimpleNamespace

from sglang.srt.entrypoints.openai.protocol import ChatCompletionRequest
from sglang.srt.entrypoints.openai.serving_chat import OpenAIServingChat

TOOL = {"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}


class Tokenizer:
    chat_template = "a template"
    bos_token_id = 0

    def __init__(self):
        self.messages = None
        self.decoded = 0
        self.slowness_s = 0.0

    def apply_chat_template(self, messages, **_):
        self.messages = messages
        time.sleep(self.slowness_s)
        return [1, 2, 3]

    def decode(self, ids):
        self.decoded += 1
        return f"decoded {ids}"


class Manager:
    """`outputs`: the cumulative texts of a generation; an exception is raised, a dict is its finish reason."""

    def __init__(self, outputs=(), *, multimodal=False, tool_call_parser=None, reasoning_parser=None):
        self.outputs = outputs
        self.tokenizer = Tokenizer()
        self.request_logger = SimpleNamespace(log_requests=False, log_requests_level=0)
        self.server_args = SimpleNamespace(
            tool_call_parser=tool_call_parser,
            reasoning_parser=reasoning_parser,
            context_length=None,
            allow_auto_truncate=False,
            stream_response_default_include_usage=False,
            enable_cache_report=False,
            tokenizer_metrics_custom_labels_header=None,
        )
        self.model_config = SimpleNamespace(
            is_multimodal=multimodal,
            hf_config=SimpleNamespace(model_type="any", architectures=["Any"]),
            get_default_sampling_params=dict,
        )

    async def generate_request(self, adapted, raw_request):
        text = ""
        for output in self.outputs:
            if isinstance(output, Exception):
                raise output
            finish = output if isinstance(output, dict) else None
            text += "" if finish else output
            yield {"text": text, "meta_info": {"id": "r", "finish_reason": finish, "weight_version": "1"}}

    def create_abort_task(self, adapted):
        return None


def handler(manager):
    template = SimpleNamespace(chat_template_name=None, jinja_template_content_format="string", force_reasoning=False)
    return OpenAIServingChat(manager, template)


def request(**fields):
    return ChatCompletionRequest(
        **{"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, **fields}
    )


async def answer(manager, **fields):
    """(status, events), as a client would see them; an interrupted stream ends with "cut"."""
    response = await handler(manager).handle_request(request(**fields), None)
    if not hasattr(response, "body_iterator"):
        return response.status_code, [json.loads(response.body)["message"]]
    events = []
    try:
        async for block in response.body_iterator:
            events += [_told(part.removeprefix("data: ")) for part in block.split("\n\n") if part]
    except Exception:
        events.append("cut")
    return response.status_code, [event for event in events if event]


def _told(data):
    if data == "[DONE]":
        return data
    found = json.loads(data)
    if "error" in found:
        return f"{found['error']['code']}: {found['error']['message']}"
    [choice] = found["choices"]
    return {key: value for key, value in choice["delta"].items() if value and key != "role"} or choice["finish_reason"]


def _merged(events):
    """Deltas of a kind joined; a call is [name, arguments]."""
    merged = {"content": "", "reasoning_content": "", "calls": []}
    for event in events:
        if not isinstance(event, dict):
            continue
        for key in ("content", "reasoning_content"):
            merged[key] += event.get(key, "")
        for call in event.get("tool_calls", ()):
            function = call["function"]
            if function["name"]:
                merged["calls"].append([function["name"], ""])
            merged["calls"][-1][1] += function["arguments"] or ""
    return merged


STOP = {"type": "stop", "matched": None}


def stream_errors():
    aborted = ["half an ", {"type": "abort", "message": "Aborted", "status_code": None}]
    failed = ["half an ", RuntimeError("a secret of the server")]
    return [asyncio.run(answer(Manager(outputs))) for outputs in (aborted, failed)]


def first_chunk_status():
    full = {"type": "abort", "message": "The request queue is full.", "status_code": HTTPStatus.SERVICE_UNAVAILABLE}
    return asyncio.run(answer(Manager([full])))


def held_text():
    outputs = ["<think>one", " < two</thi", "nk>an answer that ends with <|tool", STOP]
    manager = Manager(outputs, tool_call_parser="kimi_k2", reasoning_parser="kimi_k2")
    _, events = asyncio.run(answer(manager, tools=[TOOL]))
    return _merged(events)


def text_as_ids():
    manager = Manager(multimodal=True)
    adapted, _ = handler(manager)._convert_to_internal_request(request(), None)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    chat = handler(manager)
    chat.template_manager.jinja_template_content_format = "openai"
    with_image, _ = chat._convert_to_internal_request(request(messages=[{"role": "user", "content": [image]}]), None)
    return [adapted.input_ids, adapted.text, with_image.input_ids, with_image.text, manager.tokenizer.decoded]


def off_loop_rendering():
    """How long the event loop stood still while a chat was rendered for half a second: long, or not."""
    manager = Manager(["x", STOP])
    manager.tokenizer.slowness_s = 0.5
    longest = 0.0

    async def watch():
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - before)

    async def run():
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        status, _ = await answer(manager)
        await asyncio.sleep(0.05)
        watcher.cancel()
        return status

    return [asyncio.run(run()), longest > 0.4]


def history_arguments():
    manager = Manager(["x", STOP])
    call = {"id": "c", "type": "function", "function": {"name": "shell", "arguments": '{"cmd": "ls'}}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "bad arguments"},
    ]
    status, _ = asyncio.run(answer(manager, messages=history))
    if status != 200:
        return [status]
    return [status, manager.tokenizer.messages[1]["tool_calls"][0]["function"]["arguments"]]


def effort_values():
    found = []
    for fields in (
        {"reasoning_effort": "minimal"},
        {"reasoning_effort": "xhigh"},
        {"reasoning": {"effort": "max"}},
        {"reasoning_effort": "none"},
    ):
        try:
            made = request(**fields)
            found.append([made.reasoning_effort, made.chat_template_kwargs])
        except ValueError:
            found.append("refused")
    return found


PROBES = {
    "stream-errors": stream_errors,
    "first-chunk-status": first_chunk_status,
    "held-text": held_text,
    "text-as-ids": text_as_ids,
    "off-loop-rendering": off_loop_rendering,
    "history-arguments": history_arguments,
    "effort-values": effort_values,
}
