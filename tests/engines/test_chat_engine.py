"""The chat engine against a real HTTP server that plays an engine."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest
from chat_upstream import DONE, Cut, call, chunk, nobody_there, played, sse, usage

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.engines.chat import ChatEngine
from sgcx.engines.chat_chunks import joined
from sgcx.engines.chat_request import RawText, Upstream, build_body
from sgcx.engines.proxies import is_loopback, proxy_for
from sgcx.engines.structural_tags import looser_and_looser
from sgcx.errors import EngineError
from sgcx.responses.constraint import AnyObject, CallableTool, Constraint, SchemaObject
from sgcx.responses.deltas import (
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
    Usage,
)
from sgcx.responses.engine import EngineRequest

HELLO = (chunk(content="Hello"), chunk("stop"), usage(3, 1, cached=2), DONE)


def request(**changes):
    fields = {
        "request_id": "resp_1",
        "messages": ({"role": "user", "content": "hi"},),
        "tools": (),
        "template_arguments": {"thinking": True},
        "temperature": 1.0,
        "top_p": 0.95,
        "max_new_tokens": None,
        "constraint": Constraint(),
        "thinking": True,
    }
    return EngineRequest(**{**fields, **changes})


def generate(url, *requests, api_key=None, **options):
    """The deltas of each request, one after another on one engine."""

    async def run():
        engine = ChatEngine(Upstream(url=url, model="m", **options), api_key=api_key)
        async with aclosing(engine):
            every = [[delta async for delta in engine.generate(each)] for each in requests or (request(),)]
            return [joined(deltas) for deltas in every]  # what arrives together is joined already

    results = asyncio.run(run())
    return results[0] if len(results) == 1 else results


def refused(url, **options):
    with pytest.raises(EngineError) as caught:
        generate(url, **options)
    return caught.value


def test_a_stream_becomes_deltas_with_exact_usage():
    with played(HELLO) as upstream:
        assert generate(upstream.url) == [TextDelta("Hello"), Finished("stop", Usage(3, 2, 1, 0))]


def test_frames_that_arrive_in_pieces_are_the_same_frames():
    whole = b"".join(map(sse, (chunk(reasoning_content="sí \u2028"), *HELLO[:-1]))) + DONE
    torn = (*(bytes([byte]) for byte in whole[:90]), 0.01, whole[90:97], 0.01, whole[97:])
    with played(torn) as upstream:
        assert generate(upstream.url) == [
            ReasoningDelta("sí \u2028"),
            TextDelta("Hello"),
            Finished("stop", Usage(3, 2, 1)),
        ]


def test_interleaved_calls_are_told_one_after_another():
    play = (
        chunk(tool_calls=[call(0, "a", "{", "id0")]),
        chunk(tool_calls=[call(1, "b", "[", "id1")]),
        chunk(tool_calls=[call(0, arguments="}")]),
        chunk(tool_calls=[call(1, arguments="]")]),
        chunk("tool_calls"),
        DONE,
    )
    with played(play) as upstream:
        assert generate(upstream.url) == [
            ToolCallStarted("a"),
            ToolCallArguments("{}"),
            ToolCallFinished(),
            ToolCallStarted("b"),
            ToolCallArguments("[]"),
            ToolCallFinished(),
            Finished("stop"),
        ]


def test_the_upstream_gets_the_whole_request():
    asked = request(
        tools=({"type": "function", "function": {"name": "f", "parameters": {}}},),
        max_new_tokens=7,
        top_logprobs=3,
        constraint=Constraint(tools=(CallableTool("f", AnyObject()),), must_call=True, max_calls=1),
    )
    with played(HELLO) as upstream:
        generate(upstream.url, asked, api_key="secret")
        [sent], [headers] = upstream.requests, upstream.headers
    assert sent == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "chat_template_kwargs": {"thinking": True},
        "temperature": 1.0,
        "top_p": 0.95,
        "max_tokens": 7,
        "logprobs": True,
        "top_logprobs": 3,
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert headers["authorization"] == "Bearer secret"
    assert headers["x-request-id"] == "resp_1"


TOOLS = (CallableTool("f", AnyObject()), CallableTool("g", AnyObject()))
SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("constraint", "sent"),
    [
        (Constraint(TOOLS), {}),
        (Constraint(), {}),  # only the prompt counts: some engines leave the tools out of it for `none`
        (Constraint(TOOLS, must_call=True), {"tool_choice": "required"}),
        (Constraint(withheld=True), {"tool_choice": "none"}),
        (
            Constraint(withheld=True, answer_schema=SCHEMA),
            {
                "tool_choice": "none",
                "response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": SCHEMA}},
            },
        ),
    ],
)
def test_a_constraint_is_said_as_well_as_chat_completions_can(constraint, sent):
    declared = tuple({"type": "function", "function": {"name": tool.name}} for tool in TOOLS)
    body = build_body(request(tools=declared, constraint=constraint), Upstream(url="http://x/v1", model="m"))
    assert body["tools"] == declared
    assert {
        field: body[field] for field in ("tool_choice", "parallel_tool_calls", "response_format") if field in body
    } == sent


def test_beside_tools_the_model_is_told_the_schema_of_its_answer():
    body = build_body(
        request(constraint=Constraint(TOOLS, answer_schema=SCHEMA)), Upstream(url="http://x/v1", model="m")
    )
    assert "response_format" not in body
    assert body["messages"][-1]["role"] == "user"
    assert '{"type": "object"}' in body["messages"][-1]["content"]


STRICT = Constraint((CallableTool("f", SchemaObject({"type": "string"})),), must_call=True, answer_schema=SCHEMA)


def test_an_engine_that_takes_structural_tags_is_sent_the_whole_constraint_as_one():
    binding = Upstream(url="http://x/v1", model="m", grammar_dialect=KimiK2())
    declared = ({"type": "function", "function": {"name": "f"}},)
    bound = build_body(request(tools=declared, constraint=STRICT), binding)
    assert bound["response_format"] == KimiK2().structural_tag(STRICT)
    assert bound["tools"] == declared
    assert len(bound["messages"]) == 1, "the schema is not said in words"
    assert not bound.keys() & {"tool_choice", "parallel_tool_calls"}
    free = build_body(request(tools=declared, constraint=Constraint(TOOLS, max_calls=1)), binding)
    assert free["parallel_tool_calls"] is False
    assert "response_format" not in free


def test_a_grammar_that_the_engine_cannot_compile_is_loosened_and_other_refusals_are_final():
    uncompiled = {"message": "Failed to compile structural_tag grammar: recursive", "code": 400}
    with played([(400, uncompiled, {}), (sse({"error": uncompiled}), DONE), HELLO]) as upstream:
        deltas = generate(upstream.url, request(constraint=STRICT), grammar_dialect=KimiK2())
    assert deltas[0] == TextDelta("Hello")
    tags = [sent["response_format"] for sent in upstream.requests]
    loosened = [KimiK2().structural_tag(each) for each in looser_and_looser(STRICT)]
    assert tags == loosened
    with played([(400, {"message": "The context is too long"}, {})]) as upstream, pytest.raises(EngineError):
        generate(upstream.url, request(constraint=STRICT), grammar_dialect=KimiK2())
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("written", "verbatim", "sent"),
    [
        ('{"a":  1}', False, '{"a":  1}'),
        ('{"a":', False, '{"invalid_arguments":"{\\"a\\":"}'),
        ('{"a":  1}', True, '"{\\"a\\":  1}"'),
        ('{"a":', True, '"{\\"a\\":"'),
    ],
)
def test_arguments_in_history_are_what_the_upstream_can_take(written, verbatim, sent):
    past = {"role": "assistant", "tool_calls": [{"id": "i", "function": {"name": "f", "arguments": written}}]}
    with played(HELLO) as upstream:
        generate(upstream.url, request(messages=(past,)), verbatim_arguments=verbatim)
    arguments = upstream.requests[0]["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert arguments == sent
    assert not verbatim or json.loads(arguments) == written


def test_raw_text_is_asked_for_and_read():
    play = (chunk(content="hm</thi"), chunk(content="nk>Hello"), chunk("stop"), DONE)
    raw = RawText(KimiK2())
    with played(play) as upstream:
        thinking, instant = generate(upstream.url, request(), request(thinking=False), raw=raw)
    assert thinking == [ReasoningDelta("hm"), TextDelta("Hello"), Finished("stop")]
    assert ReasoningDelta("hm") not in instant
    assert upstream.requests[0]["separate_reasoning"] is upstream.requests[0]["skip_special_tokens"] is False


@pytest.mark.parametrize(
    ("answer", "status", "code", "retry_after"),
    [
        ((400, {"object": "error", "message": "exceeds the context length"}, {}), 400, "context_length_exceeded", None),
        ((400, {"error": {"message": "maximum context length is 9"}}, {}), 400, "context_length_exceeded", None),
        ((422, {"detail": "bad tool"}, {}), 400, "invalid_prompt", None),
        ((401, {"error": "Unauthorized"}, {}), 502, "upstream_authentication_failed", None),
        ((403, b"no", {}), 502, "upstream_authentication_failed", None),
        ((404, {"error": {"message": "no such model"}}, {}), 404, "model_not_found", None),
        ((429, b"slow down", {}), 503, None, 2),
        ((503, {"error": {"message": "Loading model"}}, {"retry-after": "9"}), 503, None, 9),
        ((500, b"<html>", {}), 500, "server_error", None),
        ((302, b"", {"location": "/elsewhere"}), 502, "server_error", None),
        (({"error": {"code": 503, "message": "full"}}, DONE), 503, None, 2),
        (
            (chunk(role="assistant", content=""), {"object": "error", "code": 400, "message": "too long"}),
            400,
            None,
            None,
        ),
        ((b"data: {oops\n\n",), 502, "server_error", None),
        ((b"data: []\n\n",), 502, "server_error", None),
        ((DONE,), 502, "server_error", None),
        ((chunk(role="assistant"), Cut()), 503, "server_error", 1),
    ],
)
def test_a_refusal_before_the_first_delta_has_its_status(answer, status, code, retry_after):
    with played(answer) as upstream:
        error = refused(upstream.url, api_key="secret")
    assert (error.status, error.retry_after_s) == (status, retry_after)
    assert code is None or error.code == code
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("rest", "code", "message"),
    [
        ((), "server_error", "cut off"),
        ((Cut(),), "server_error", "connection"),
        (({"error": {"code": 503, "message": "full"}}, DONE), "rate_limit_exceeded", "try again in 2s"),
        (({"error": {"code": 429, "message": "full"}}, DONE), "rate_limit_exceeded", "full. Please try again in 2s"),
        (({"error": {"code": "rate_limit_exceeded", "message": "full"}},), "rate_limit_exceeded", "try again in 2s"),
        (({"error": {"code": "abort", "message": "x"}},), "server_error", "failed with status 500"),
    ],
)
def test_what_breaks_after_the_first_delta_is_a_failure_in_the_stream(rest, code, message):
    with played((chunk(content="Hel"), 0.05, *rest)) as upstream:
        [text, end] = generate(upstream.url)
    assert text == TextDelta("Hel")
    assert isinstance(end, Failed)
    assert end.code == code
    assert message in end.message


def test_a_cut_call_is_never_finished():
    with played((chunk(tool_calls=[call(0, "a", "{}")]), 0.05, Cut())) as upstream:
        *before, end = generate(upstream.url)
    assert ToolCallFinished() not in before
    assert isinstance(end, Failed)


def test_an_upstream_that_is_down_means_try_again():
    with nobody_there() as url:
        error = refused(url)
    assert (error.status, error.retry_after_s) == (503, 2)
    assert "127.0.0.1" not in error.message, "where the engine is, clients need not know"


def test_leaving_the_generator_closes_the_upstream_connection():
    async def leave(upstream):
        engine = ChatEngine(Upstream(url=upstream.url, model="m"))
        async with aclosing(engine), aclosing(engine.generate(request())) as deltas:
            assert await anext(deltas) == TextDelta("Hel")
        assert await asyncio.to_thread(upstream.left.wait, 5)

    with played((chunk(content="Hel"), 30.0)) as upstream:
        asyncio.run(leave(upstream))


def test_cancelling_before_the_first_delta_closes_the_upstream_connection():
    async def leave(upstream):
        engine = ChatEngine(Upstream(url=upstream.url, model="m"))
        async with aclosing(engine):
            first = asyncio.ensure_future(anext(engine.generate(request())))
            while not upstream.requests:
                await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.wait({first})
        assert await asyncio.to_thread(upstream.left.wait, 5)

    with played((b": waiting\n\n", 30.0)) as upstream:
        asyncio.run(leave(upstream))


def test_one_connection_serves_one_request_after_another():
    with played(HELLO) as upstream:
        assert len(generate(upstream.url, request(), request(), request())) == 3
        assert len(set(upstream.peers)) == 1


def test_an_upstream_that_stays_open_after_done_does_not_hold_the_answer():
    with played((*HELLO, 30.0)) as upstream:
        assert generate(upstream.url)[-1] == Finished("stop", Usage(3, 2, 1, 0))


def test_proxies_are_for_other_machines(monkeypatch):
    assert is_loopback("http://127.0.0.9:1/v1")
    assert is_loopback("http://localhost/v1")
    assert is_loopback("http://[::1]:1/v1")
    assert not is_loopback("http://10.0.0.1/v1")
    monkeypatch.setenv("http_proxy", "http://proxy.example:8080")
    monkeypatch.setenv("https_proxy", "proxy.example:8443")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("http://127.0.0.9:1/v1") is None
    assert proxy_for("http://inside.example/v1") is None
    assert proxy_for("http://10.0.0.1/v1") == "http://proxy.example:8080"
    assert proxy_for("https://engine.example/v1") == "http://proxy.example:8443"


def test_an_engine_behind_a_proxy_is_asked_through_it(monkeypatch):
    async def first_line():
        async def proxy(reader, writer):
            asked.set_result(await reader.readline())
            writer.close()

        asked = asyncio.get_running_loop().create_future()
        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            monkeypatch.setenv("http_proxy", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            monkeypatch.delenv("no_proxy", raising=False)
            async with aclosing(ChatEngine(Upstream(url="http://engine.example/v1", model="m"))) as engine:
                with pytest.raises(EngineError):
                    await anext(engine.generate(request()))
        return await asked

    assert asyncio.run(first_line()) == b"POST http://engine.example/v1/chat/completions HTTP/1.1\r\n"


def count(url, **options):
    async def run():
        engine = ChatEngine(Upstream(url=url, model="m", **options))
        async with aclosing(engine):
            return await engine.count_tokens(request(tools=({"type": "function", "function": {"name": "f"}},)))

    return asyncio.run(run())


def tokenize_url(upstream):
    return f"{upstream.url.removesuffix('/v1')}/tokenize"


def test_an_engine_that_counts_chats_is_asked_for_the_count():
    with played((200, {"count": 42, "max_model_len": 1000}, {})) as upstream:
        assert count(upstream.url, tokenize_url=tokenize_url(upstream)) == 42
    [asked] = upstream.requests
    assert asked == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "chat_template_kwargs": {"thinking": True},
        "add_generation_prompt": True,
    }


def test_an_engine_that_counts_only_what_it_serves_serves_one_token():
    with played((chunk(content="H"), chunk("length"), usage(17, 1), DONE)) as upstream:
        assert count(upstream.url) == 17
    assert upstream.requests[0]["max_tokens"] == 1


@pytest.mark.parametrize(
    ("play", "tokenizes", "status", "code"),
    [
        ((404, {"detail": "Not Found"}, {}), True, 501, "unsupported_endpoint"),
        ((400, {"message": "longer than the model's context length"}, {}), True, 400, "context_length_exceeded"),
        ((200, {"tokens": []}, {}), True, 502, "server_error"),
        ((chunk(content="H"), chunk("length"), DONE), False, 501, "unsupported_endpoint"),
        ((400, {"message": "longer than the model's context length"}, {}), False, 400, "context_length_exceeded"),
    ],
)
def test_what_an_engine_cannot_count_is_said(play, tokenizes, status, code):
    with played(play) as upstream:
        options = {"tokenize_url": tokenize_url(upstream)} if tokenizes else {}
        with pytest.raises(EngineError) as caught:
            count(upstream.url, **options)
    assert (caught.value.status, caught.value.code) == (status, code)
