"""Every kind of input item of the API: read, or left out and reported; only what is malformed is refused."""

from __future__ import annotations

import json

import pytest

from sgcx.errors import InvalidRequest
from sgcx.responses.items import ImagePart, Message, Reasoning, TextPart, ToolCall, ToolOutput
from sgcx.responses.request import parse_request


def read(*items, **fields):
    return parse_request({"input": list(items), **fields})


def text(role, content):
    return Message(role, (TextPart(content),))


def said(call_id, content):
    return ToolOutput(call_id, (TextPart(content),))


PNG = "data:image/png;base64,iVBORw0KGgo="
ADD = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}}
DEMO = {"type": "namespace", "name": "mcp__demo", "description": "", "tools": [ADD]}
DEMO_ADD = {
    "type": "function",
    "function": {"name": "mcp__demo__add", "description": "Adds.", "parameters": {"type": "object"}},
}
ANNOUNCED = f"These functions can be called from now on:\n{json.dumps([DEMO_ADD])}"

KINDS = {
    "an easy message": ({"role": "user", "content": "hi"}, [text("user", "hi")]),
    "a message": (
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "a"}], "status": "completed"},
        [text("system", "a")],
    ),
    "an output message with its phase": (
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "phase": "commentary",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        [Message("assistant", (TextPart("a"), TextPart("no")))],
    ),
    "an agent's message": (
        {
            "type": "agent_message",
            "id": "amsg_1",
            "author": "/root",
            "recipient": "/root/t1",
            "content": [
                {"type": "input_text", "text": "Payload:\n"},
                {"type": "encrypted_content", "encrypted_content": "count the files"},
            ],
        },
        [Message("user", (TextPart("Payload:\n"), TextPart("count the files")))],
    ),
    "reasoning": (
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        [Reasoning("hm")],
    ),
    "a function call": (
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c",
            "name": "f",
            "arguments": '{"a": ',
            "status": "completed",
        },
        [ToolCall("c", "f", '{"a": ')],
    ),
    "a function call of a namespace": (
        {"type": "function_call", "call_id": "c", "name": "add", "namespace": "mcp__demo", "arguments": "{}"},
        [ToolCall("c", "mcp__demo__add", "{}")],
    ),
    "a function's output": (
        {"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": "aborted"},
        [said("c", "aborted")],
    ),
    "a function's output with an image": (
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_image", "image_url": PNG, "detail": "high"}],
        },
        [ToolOutput("c", (ImagePart(PNG, "high"),))],
    ),
    "a custom tool call": (
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": 'a\n"é"'},
        [ToolCall("c", "apply_patch", '{"input": "a\\n\\"é\\""}')],
    ),
    "a custom tool's output": ({"type": "custom_tool_call_output", "call_id": "c", "output": "ok"}, [said("c", "ok")]),
    "a search for tools": (
        {"type": "tool_search_call", "id": "t", "call_id": "c", "execution": "client", "arguments": {"query": "add"}},
        [ToolCall("c", "tool_search", '{"query": "add"}')],
    ),
    "the tools that were found": (
        {"type": "tool_search_output", "call_id": "c", "execution": "client", "status": "completed", "tools": [DEMO]},
        [said("c", ANNOUNCED)],
    ),
    "no tools that were found": (
        {"type": "tool_search_output", "call_id": "c", "tools": []},
        [said("c", "No tools were found.")],
    ),
    "a shell call": (
        {
            "type": "shell_call",
            "call_id": "c",
            "action": {"commands": ["ls"], "timeout_ms": 5, "max_output_length": None},
            "environment": {"type": "local"},
        },
        [ToolCall("c", "shell", '{"commands": ["ls"], "timeout_ms": 5}')],
    ),
    "a shell's output": (
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [
                {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "b", "stderr": "c", "outcome": {"type": "timeout"}},
            ],
        },
        [said("c", "a\n[exit code 0]\nb\nc\n[timed out]")],
    ),
    "a local shell call": (
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": "c",
            "action": {"type": "exec", "command": ["ls"], "env": {}, "working_directory": None},
            "status": "completed",
        },
        [ToolCall("c", "local_shell", '{"command": ["ls"]}')],
    ),
    "a local shell's output": (
        {"type": "local_shell_call_output", "id": "c", "call_id": "c", "output": "{}"},
        [said("c", "{}")],
    ),
    "a patch": (
        {
            "type": "apply_patch_call",
            "call_id": "c",
            "operation": {"type": "delete_file", "path": "a"},
            "status": "completed",
        },
        [ToolCall("c", "apply_patch", '{"type": "delete_file", "path": "a"}')],
    ),
    "a patch that failed": (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no such file"},
        [said("c", "failed: no such file")],
    ),
    "a patch that succeeded": (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "completed"},
        [said("c", "completed")],
    ),
    "a call of a hosted MCP tool": (
        {
            "type": "mcp_call",
            "id": "m",
            "server_label": "demo",
            "name": "add",
            "arguments": "{}",
            "output": "3",
            "error": None,
        },
        [ToolCall("m", "demo__add", "{}"), said("m", "3")],
    ),
    "a failed call of a hosted MCP tool": (
        {
            "type": "mcp_call",
            "id": "m",
            "server_label": "demo",
            "name": "add",
            "arguments": "{}",
            "error": {"type": "http_error", "code": 500, "message": "down"},
        },
        [
            ToolCall("m", "demo__add", "{}"),
            said("m", '{"type": "http_error", "code": 500, "message": "down"}'),
        ],
    ),
    "a file search": (
        {
            "type": "file_search_call",
            "id": "s",
            "queries": ["q"],
            "status": "completed",
            "results": [{"filename": "a.md", "text": "A", "score": 0.5}, {"file_id": "file_1"}],
        },
        [ToolCall("s", "file_search", '{"queries": ["q"]}'), said("s", "a.md:\nA\n\n")],
    ),
    "code that was run": (
        {
            "type": "code_interpreter_call",
            "id": "i",
            "container_id": "x",
            "code": "1+1",
            "outputs": [{"type": "logs", "logs": "2"}],
            "status": "completed",
        },
        [ToolCall("i", "code_interpreter", '{"code": "1+1"}'), said("i", "2")],
    ),
    "an image that was made": (
        {
            "type": "image_generation_call",
            "id": "g",
            "result": "AAAA",
            "status": "completed",
            "revised_prompt": "a cat",
        },
        [
            ToolCall("g", "image_generation", '{"prompt": "a cat"}'),
            ToolOutput("g", (ImagePart("data:image/png;base64,AAAA", "auto"),)),
        ],
    ),
    "a computer's action": (
        {
            "type": "computer_call",
            "id": "x",
            "call_id": "c",
            "action": {"type": "wait"},
            "pending_safety_checks": [],
            "status": "completed",
        },
        [ToolCall("c", "computer", '{"actions": [{"type": "wait"}]}')],
    ),
    "a screenshot": (
        {
            "type": "computer_call_output",
            "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": PNG},
        },
        [ToolOutput("c", (ImagePart(PNG, "auto"),))],
    ),
    "a program": (
        {"type": "program", "id": "p", "call_id": "c", "code": "f()", "fingerprint": "x"},
        [ToolCall("c", "program", '{"code": "f()"}')],
    ),
    "a program's output": (
        {"type": "program_output", "id": "p", "call_id": "c", "result": "3", "status": "completed"},
        [said("c", "3")],
    ),
}


@pytest.mark.parametrize(("item", "expected"), KINDS.values(), ids=KINDS)
def test_what_a_model_can_use_is_read(item, expected):
    request = read(item)
    assert list(request.input) == expected
    assert request.ignored == ()


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "status": "completed", "results": None},
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "x", "code": None, "status": "failed"},
        {"type": "image_generation_call", "id": "ig_1", "result": None, "status": "failed"},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "demo", "tools": []},
        {"type": "mcp_approval_request", "id": "a", "name": "add", "server_label": "demo", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "item_reference", "id": "msg_unknown"},
        {"type": "from_the_future"},
    ],
    ids=lambda item: item["type"],
)
def test_the_rest_is_left_out_and_reported(item):
    request = read({"role": "user", "content": "hi"}, item)
    assert request.input == (text("user", "hi"),)
    assert request.ignored == (f"input[1].type={item['type']}",)


def test_parts_of_a_result_that_are_kept_elsewhere_are_reported():
    outputs = [{"type": "logs", "logs": "2"}, {"type": "image", "url": "https://elsewhere/x.png"}]
    request = read({"type": "code_interpreter_call", "id": "i", "code": "1+1", "outputs": outputs})
    assert request.input[1] == said("i", "2")
    assert request.ignored == ("input[0].outputs[1].type=image",)


def test_an_agents_message_that_another_provider_encrypted_is_left_out():
    content = [{"type": "encrypted_content", "encrypted_content": "gAAAAABo0_9x"}]
    request = read({"type": "agent_message", "author": "/root", "recipient": "/root/t1", "content": content})
    assert request.ignored == ("input[0].content[0].type=encrypted_content",)


def test_outputs_find_their_call_by_its_item_or_by_the_tools_name():
    request = read(
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": "a"},
        {"type": "function_call", "call_id": "c2", "name": "add", "namespace": "mcp__demo", "arguments": "{}"},
        {"type": "function_call_output", "name": "add", "namespace": "mcp__demo", "output": "b"},
        {"type": "tool_search_call", "id": "tsc_1", "call_id": None, "execution": "server", "arguments": {}},
        {"type": "tool_search_output", "id": "tso_1", "call_id": None, "execution": "server", "tools": []},
        {"type": "function_call_output", "output": "d"},
    )
    outputs = [item for item in request.input if isinstance(item, ToolOutput)]
    assert [output.call_id for output in outputs] == ["c1", "c2", "tsc_1", ""]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "shell_call", "call_id": "c", "action": None}, "input[0].action"),
        ({"type": "local_shell_call", "call_id": None, "action": {}}, "input[0].call_id"),
        ({"type": "apply_patch_call", "call_id": "c", "operation": "x"}, "input[0].operation"),
        ({"type": "apply_patch_call_output", "call_id": "c"}, "input[0].status"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "f"}, "input[0].input"),
        ({"type": "custom_tool_call_output", "call_id": "c", "output": {}}, "input[0].output"),
        ({"type": "mcp_call", "name": "f"}, "input[0].arguments"),
        ({"type": "additional_tools", "role": "developer", "tools": [{}]}, "input[0].tools[0].type"),
        ({"type": "tool_search_output", "tools": [{"type": "function"}]}, "input[0].tools[0].name"),
        ({"type": "configuration_update", "reasoning": 3}, "input[0].reasoning"),
        ({"type": "computer_call_output", "call_id": "c", "output": {"type": 3}}, "input[0].output.type"),
    ],
)
def test_malformed_items_name_the_place(item, param):
    with pytest.raises(InvalidRequest) as caught:
        read(item)
    assert caught.value.param == param


USER = {"role": "user", "content": "hi"}


def test_a_configuration_update_holds_until_the_next_one():
    none = {"type": "configuration_update", "reasoning": {"effort": "none"}}
    high = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    form = {"type": "configuration_update", "text": {"format": schema}}
    plain = {"type": "configuration_update", "text": {"format": {"type": "text"}}}
    assert not read(USER, none).thinking
    assert read(USER, none, USER, high, reasoning={"effort": "none"}).thinking
    assert not read(USER, none, form).thinking
    assert read(USER, form).text_format.schema == {"type": "object"}
    assert read(USER, form, plain, text={"format": schema}).text_format.schema is None
    kept = parse_request({"input": "more"}, earlier=[USER, none])
    assert not kept.thinking


def additional(*tools):
    return {"type": "additional_tools", "role": "developer", "tools": list(tools)}


def test_tools_in_front_of_the_conversation_are_declared_like_the_requests_own():
    request = read(additional(DEMO), {"role": "developer", "content": "be brief"}, USER)
    assert [tool["function"]["name"] for tool in request.tools.chat_tools()] == ["mcp__demo__add"]
    assert request.tools.late_chat_tools() == ()
    assert request.input == (text("developer", "be brief"), text("user", "hi"))


def test_tools_that_come_up_later_are_announced_there_and_leave_the_declarations_in_front_unchanged():
    own = [{"type": "function", "name": "f"}]
    before, after = read(USER, tools=own), read(USER, additional(DEMO), tools=own)
    assert after.tools.chat_tools() == before.tools.chat_tools()
    assert after.input == (text("user", "hi"), text("developer", ANNOUNCED))
    assert after.tools.late_chat_tools() == (DEMO_ADD,)
    assert after.tools.resolve("mcp__demo__add").namespace == "mcp__demo"


def test_tools_that_were_found_can_be_called_from_then_on_and_may_be_found_again():
    found = {"type": "tool_search_output", "call_id": "c", "tools": [DEMO, {"type": "web_search"}]}
    changed = {"type": "tool_search_output", "call_id": "d", "tools": [{**ADD, "description": "Adds two."}]}
    request = read(USER, found, found, changed, {**changed, "tools": [{**ADD, "description": "Adds both."}]})
    assert [tool["function"]["description"] for tool in request.tools.late_chat_tools()] == ["Adds.", "Adds both."]
    assert request.ignored == ("input[1].tools[1].type=web_search", "input[2].tools[1].type=web_search")
    kept = parse_request({"input": "more"}, earlier=[USER, found])
    assert list(kept.tools.by_exposed_name) == ["mcp__demo__add"]


def test_tools_of_the_conversation_that_the_request_declares_too_are_declared_once():
    assert [*read(additional(ADD), USER, additional(ADD), tools=[ADD]).tools.by_exposed_name] == ["add"]
