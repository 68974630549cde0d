"""What doctor asks a running server in Codex's name, and how it judges the answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from responses_server import KEY, MODEL, Reply, Request, ResponsesServer, serve, stream

from sgcx.codex.config import CodexSettings, apply_settings
from sgcx.codex.installation import profile_path
from sgcx.errors import LaunchFailed
from sgcx.paths import Paths
from sgcx.workflows.checks.check import Status
from sgcx.workflows.checks.codex import check_config
from sgcx.workflows.codex_probe import Finding, probe_for_codex
from sgcx.workflows.responses_client import ResponsesClient

MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "O\u2028K"}]}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
CALL = {"type": "function_call", "call_id": "c1", "name": "exec_command", "arguments": '{"cmd": "echo ok"}'}
PATCH = {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin Patch\n*** End Patch"}
BAD_REQUEST: Reply = (400, {"error": {"message": "`input[0].role` is unknown", "type": "invalid_request_error"}})

ANSWERS: dict[str, Reply] = {
    "text": stream(MESSAGE),
    "tool call": stream(REASONING, CALL),
    "apply_patch": stream(PATCH),
    "reasoning and output": stream(MESSAGE),
    "error": BAD_REQUEST,
}


def kind_of(request: Request) -> str:
    last = request["input"][-1]
    if last["type"] == "function_call_output":
        return "reasoning and output"
    if last["role"] != "user":
        return "error"
    text = last["content"][0]["text"]
    return "text" if text == "Say OK." else "tool call" if "exec_command" in text else "apply_patch"


def probe(answers: dict[str, Reply]) -> tuple[dict[str, Finding], ResponsesServer]:
    answer: Callable[[Request], Reply] = lambda request: answers[kind_of(request)]  # noqa: E731
    with serve(answer) as server, ResponsesClient(server.base_url, KEY) as client:
        assert client.models() == (MODEL,)
        return {finding.title: finding for finding in probe_for_codex(client, MODEL)}, server


def test_a_server_that_codex_can_work_with_gets_one_line_for_each_request() -> None:
    findings, _ = probe(ANSWERS)

    assert list(findings) == list(ANSWERS)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["text"].said.startswith("3 events, the first event after 0.")
    assert findings["tool call"].said == 'exec_command is called with {"cmd": "echo ok"}'
    assert findings["reasoning and output"].said == "the reasoning went back; the model goes on with message"
    assert findings["error"].said == "HTTP 400: `input[0].role` is unknown"


def test_the_requests_have_codex_s_fields_and_items_go_back_as_they_came() -> None:
    _, server = probe(ANSWERS)

    for request in server.requests:
        assert [tool["type"] for tool in request["tools"]] == ["function", "custom"]
        assert request["stream"] is True
        assert request["store"] is False
        assert request["include"] == ["reasoning.encrypted_content"]
        assert "max_output_tokens" not in request
    returned = next(request for request in server.requests if kind_of(request) == "reasoning and output")
    assert returned["input"][1:3] == [REASONING, CALL]
    assert returned["input"][3] == {"type": "function_call_output", "call_id": "c1", "output": "ok\n"}


@pytest.mark.parametrize(
    ("title", "answer", "status", "said"),
    [
        ("text", stream(end="response.failed"), Status.FAIL, "ends with response.failed instead of response.completed"),
        ("text", (200, []), Status.FAIL, "ends with nothing instead of response.completed"),
        ("text", stream(REASONING), Status.WARN, "no text came, only reasoning"),
        ("text", (500, {"error": {"message": "boom", "type": "server_error"}}), Status.FAIL, "HTTP 500: boom"),
        ("text", (404, "not found"), Status.FAIL, "HTTP 404: no message"),
        (
            "tool call",
            (400, {"error": {"message": "'type' of tool must be 'function'", "type": "invalid_request_error"}}),
            Status.FAIL,
            "HTTP 400: 'type' of tool must be 'function'",
        ),
        ("tool call", stream(MESSAGE), Status.WARN, "the model answered with message instead; ask again, one answer"),
        ("tool call", stream(CALL | {"arguments": "{"}), Status.FAIL, "the arguments of the call are no JSON"),
        ("tool call", stream(CALL | {"arguments": "{}"}), Status.FAIL, "the arguments of the call lack `cmd`"),
        ("apply_patch", stream(CALL), Status.WARN, "the model answered with function_call instead"),
        ("apply_patch", stream(CALL | {"name": "apply_patch"}), Status.FAIL, "the call comes as a function_call"),
        ("apply_patch", stream(PATCH | {"input": "x"}), Status.WARN, "the input of the call is no patch"),
        ("reasoning and output", (400, {"error": {"message": "bad id"}}), Status.FAIL, "HTTP 400: bad id"),
        ("error", stream(MESSAGE), Status.FAIL, "a request that means nothing is answered as if it did"),
        ("error", (400, {"detail": "bad"}), Status.FAIL, "HTTP 400 without an error that Codex can show"),
        ("error", (422, {"error": {"message": "bad", "type": "x"}}), Status.WARN, "HTTP 422: bad"),
    ],
)
def test_each_wrong_answer_is_judged(title: str, answer: Reply, status: Status, said: str) -> None:
    findings, _ = probe(ANSWERS | {title: answer})

    assert findings[title].status is status
    assert findings[title].said.startswith(said)


def test_without_a_call_there_is_nothing_to_answer() -> None:
    findings, _ = probe(ANSWERS | {"tool call": stream(MESSAGE)})
    assert findings["reasoning and output"].status is Status.SKIP


def test_a_wrong_key_and_something_else_on_the_port_are_said() -> None:
    with serve(lambda _: (200, [{"no": "type"}])) as server:
        with (
            ResponsesClient(server.base_url, "another") as client,
            pytest.raises(LaunchFailed, match="answers 401: the key file holds another key") as refused,
        ):
            client.models()
        assert "`sgcx restart`" in str(refused.value.hint)
        with (
            ResponsesClient(server.base_url, KEY) as client,
            pytest.raises(LaunchFailed, match="does not answer as it"),
        ):
            client.ask({})


def test_codex_pointed_at_a_gateway_is_well_configured_while_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    paths = Paths(data=tmp_path, state=tmp_path, config=tmp_path)

    def point_at(base_url: str, model: str) -> Status:
        settings = CodexSettings(base_url=base_url, model=model, catalog_path=tmp_path / "c", bearer_token=KEY)
        profile_path(tmp_path).write_text(apply_settings("", settings))
        (check,) = check_config((), paths, os.environ)
        return check.status

    with serve(lambda _: (200, [])) as server:
        assert point_at(server.base_url, MODEL) is Status.OK
        assert point_at(server.base_url, "another") is Status.SKIP
    assert point_at(server.base_url, MODEL) is Status.SKIP
    assert point_at("http://[", MODEL) is Status.SKIP
