"""The requests of Codex 0.80, 0.130 and 0.169, in small: all that they say reaches the model."""

from __future__ import annotations

import pytest
from chat_templates import load_template, published, render

from sgcx.dialects.deepseek_r1 import DeepSeekR1, chat_template_path
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.responses.request import parse_request

DIALECTS = (
    (KimiK2(), published("kimi-k2-thinking")),
    (DeepSeekR1(), load_template(chat_template_path().read_text(encoding="ascii"))),
)


def message(role, *texts, **fields):
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text} for text in texts]
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": content, **fields}


def thought(text):
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": "rs_1", "summary": [], "content": content, "encrypted_content": None}


def call(call_id, name, arguments, **fields):
    names = {"type": "function_call", "status": "completed", "id": f"fc_{call_id}", "name": name}
    return {**names, **fields, "arguments": arguments, "call_id": call_id}


def output(call_id, content, kind="function_call_output"):
    return {"type": kind, "id": f"fco_{call_id}", "call_id": call_id, "output": content}


def function(name, **properties):
    parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"type": "function", "name": name, "description": name, "strict": False, "parameters": parameters}


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}
EXEC = function("exec_command", cmd={"type": "string"}, yield_time_ms={"type": "number"})
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /[^\\n]+/"},
}
DEMO = {"type": "namespace", "name": "mcp__demo", "description": "Tools of demo.", "tools": [function("add")]}
AGENTS = {"type": "namespace", "name": "collaboration", "description": "", "tools": [function("spawn_agent")]}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": {"type": "object"}}

HEAD = [
    message("developer", "You are a coding agent."),
    message("developer", "<skills_instructions>", "<permissions instructions>"),
    message("user", "<environment_context>"),
    message("user", "go"),
]
PLAIN = [{key: value for key, value in item.items() if key != "id"} for item in HEAD]

REQUESTS = {
    "0.80": {"instructions": "You are an agent.", "input": PLAIN[2:], "tools": [function("shell")], "include": []},
    "0.130": {"instructions": "You are an agent.", "input": PLAIN[1:], "tools": [EXEC], "reasoning": None},
    "a first turn": {"input": HEAD, "tools": [EXEC, PATCH]},
    "after parallel calls": {
        "input": [
            *HEAD,
            thought("Two files."),
            call("c1", "exec_command", '{"cmd":"cat a"}'),
            call("c2", "exec_command", '{"cmd":"cat '),
            output("c1", "Chunk ID: 1\nOutput:\na"),
            output("c2", "failed to parse function arguments: EOF"),
        ],
        "tools": [EXEC],
    },
    "after a patch": {
        "input": [
            *HEAD,
            {"type": "custom_tool_call", "id": "ctc_1", "status": "completed", "call_id": "c", "name": "apply_patch",
             "input": "*** Begin Patch\n*** End Patch"},
            output("c", "Success.", "custom_tool_call_output"),
        ],
        "tools": [EXEC, PATCH],
    },
    "with an image": {
        "input": [*HEAD, {**message("user", "<image>"), "content": [{"type": "input_text", "text": "<image>"}, IMAGE]}],
        "tools": [EXEC],
    },
    "after view_image": {
        "input": [*HEAD, call("c", "view_image", '{"path":"a.png"}'), output("c", [IMAGE])],
        "tools": [function("view_image")],
    },
    "after an MCP call": {
        "input": [
            *HEAD,
            call("c", "add", '{"a":1}', namespace="mcp__demo"),
            output("c", [{"type": "input_text", "text": "3"}]),
        ],
        "tools": [EXEC, DEMO],
    },
    "after a search for tools": {
        "input": [
            *HEAD,
            {"type": "tool_search_call", "id": "tsc_1", "call_id": "c", "execution": "client",
             "arguments": {"query": "q"}},
            {"type": "tool_search_output", "id": "tso_1", "call_id": "c", "status": "completed", "execution": "client",
             "tools": [DEMO]},
        ],
        "tools": [EXEC, SEARCH],
    },
    "a child agent": {
        "input": [
            *HEAD,
            call("c", "spawn_agent", '{"message":"count"}', namespace="collaboration"),
            output("c", "aborted"),
            {"type": "agent_message", "id": "amsg_1", "author": "/root", "recipient": "/root/t1", "content": [
                {"type": "input_text", "text": "Payload:\n"},
                {"type": "encrypted_content", "encrypted_content": "count"},
            ]},
        ],
        "tools": [EXEC, AGENTS],
    },
    "lite": {
        "input": [{"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [
            {"type": "namespace", "name": "functions", "description": "", "tools": [EXEC]},
        ]}, *HEAD],
    },
    "code mode": {"input": HEAD, "tools": [{"type": "custom", "name": "exec", "description": "Runs JavaScript.",
                                            "format": {"type": "text"}}]},
    "a compaction": {
        "input": [*HEAD, message("assistant", "done", status="completed"), PLAIN[3]],
        "tools": [],
        "parallel_tool_calls": False,
    },
    "plan mode": {
        "input": [*HEAD, message("assistant", "done"), message("developer", "<mode>"), message("user", "plan")],
        "tools": [EXEC],
    },
    "a retry after a cut stream": {"input": [*HEAD, message("assistant", "half", status="completed")], "tools": [EXEC]},
    "an output schema": {
        "input": HEAD,
        "tools": [EXEC],
        "text": {"format": {"type": "json_schema", "strict": True, "name": "codex_output_schema", "schema": {}}},
    },
}  # fmt: skip


def body(fields):
    return {
        "model": "kimi-k2.6",
        "stream": True,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"x-codex-turn-metadata": '{"request_kind":"turn"}'},
        **fields,
    }


def texts(value):
    """Every text that a request's items hold, whatever they are."""
    if isinstance(value, dict):
        told = ("text", "input", "encrypted_content")
        return [v for k in told if isinstance(v := value.get(k), str)] + [t for v in value.values() for t in texts(v)]
    return [text for element in value for text in texts(element)] if isinstance(value, list) else []


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
def test_a_request_of_codex_is_rendered_with_all_that_it_says(fields):
    request = parse_request(body(fields))
    assert request.ignored == ()
    for dialect, template in DIALECTS:
        messages = dialect.messages(request.input, images=False)
        prompt = render(template, messages, tools=list(request.tools.chat_tools()))
        missing = [
            text for text in texts(fields["input"]) if text.replace("\n", "\\n") not in prompt.replace("\n", "\\n")
        ]
        assert not missing


def test_hosted_tools_are_reported():
    hosted = {"type": "web_search", "external_web_access": False}
    assert parse_request(body({"input": HEAD, "tools": [EXEC, hosted]})).ignored == ("tools[1].type=web_search",)


def test_what_a_websocket_client_adds_goes_on_where_its_history_ends():
    earlier = [*HEAD, call("c", "exec_command", "{}")]
    fields = {"type": "response.create", "previous_response_id": "resp_1", "input": [output("c", "a")], "tools": [EXEC]}
    request = parse_request(body(fields), earlier=earlier, stateful=True)
    for dialect, _ in DIALECTS:
        assert dialect.messages(request.input, images=False)[-1]["content"] == "a"
