"""The gateway as clients see it: the official SDK in front, a real HTTP engine behind."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import openai
import pytest
from chat_upstream import DONE, call, chunk, nobody_there, played, running, usage
from sdk_judge import TERMINAL, judge
from signals import as_from_a_terminal

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.workflows.gateway import GatewayOptions, prepare_gateway
from sgcx.workflows.gateway_upstream import normalize_url

HELLO = (
    chunk(reasoning_content="hm"),
    chunk(content="Hel"),
    chunk(content="lo"),
    chunk("stop"),
    usage(9, 4, 8, 1),
    DONE,
)
CALLS = (
    chunk(tool_calls=[call(0, "read", '{"path":', "id0")]),
    chunk(tool_calls=[call(1, "apply_patch", '{"input":"*** Be', "id1")]),
    chunk(tool_calls=[call(0, arguments='"x"}')]),
    chunk(tool_calls=[call(1, arguments='gin Patch"}')]),
    chunk("tool_calls"),
    usage(9, 4),
    DONE,
)
APPLY_PATCH = (Path(__file__).parents[1] / "dialects" / "apply_patch.lark").read_text(encoding="utf-8")
TOOLS = [
    {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
    {"type": "custom", "name": "apply_patch"},
]


@pytest.fixture
def paths(tmp_path):
    return Paths(data=tmp_path / "data", state=tmp_path / "state", config=tmp_path / "config")


@contextmanager
def gateway(upstream, paths, **options):
    prepared = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, **options), paths)
    with running(prepared.app) as port:
        yield f"http://127.0.0.1:{port}", paths.api_key.read_text().strip() if prepared.api_key_path else "none"


@contextmanager
def client(upstream, paths, **options):
    with (
        gateway(upstream, paths, **options) as (url, key),
        openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=20) as sdk,
    ):
        yield sdk


def test_the_sdk_gets_a_whole_response(paths):
    with played(HELLO) as upstream, client(upstream, paths) as sdk:
        response = sdk.responses.create(model="m", input="hi")
    assert response.output_text == "Hello"
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.usage.input_tokens_details.cached_tokens == 8
    assert response.usage.output_tokens_details.reasoning_tokens == 1


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")  # the SDK's own call
def test_the_sdk_talks_over_a_websocket(paths):
    with played(HELLO) as upstream, client(upstream, paths) as sdk, sdk.responses.connect() as connection:
        texts = []
        previous = None
        for _ in range(2):
            connection.response.create(model="m", input="hi", store=False, previous_response_id=previous)
            events = []
            while not events or events[-1]["type"] not in TERMINAL:
                events.append(connection.recv().to_dict())
            response = judge(events)
            texts.append(response.output_text)
            previous = response.id
    assert texts == ["Hello", "Hello"]
    assert [len(request["messages"]) for request in upstream.requests] == [1, 3]


def test_the_sdks_accumulator_follows_the_stream(paths):
    with (
        played(HELLO) as upstream,
        client(upstream, paths) as sdk,
        sdk.responses.stream(model="m", input="hi") as stream,
    ):
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "Hello"
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds


def test_calls_come_back_as_the_tools_were_declared(paths):
    with played(CALLS) as upstream, client(upstream, paths) as sdk:
        with sdk.responses.stream(model="m", input="hi", tools=TOOLS) as stream:
            stream.until_done()
            final = stream.get_final_response()
        created = sdk.responses.create(model="m", input="hi", tools=TOOLS)
    for response in (final, created):
        function, custom = response.output
        assert (function.type, function.name, function.arguments) == ("function_call", "read", '{"path":"x"}')
        assert (custom.type, custom.name, custom.input) == ("custom_tool_call", "apply_patch", "*** Begin Patch")
        assert function.call_id != custom.call_id


def test_what_only_the_model_is_told_is_reported(paths):
    patch = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}}
    tools = [TOOLS[0], {**TOOLS[0], "name": "strict_read", "strict": True}, patch]
    schema = {"format": {"type": "json_object"}}
    with played(HELLO) as upstream, client(upstream, paths) as sdk:
        told = sdk.responses.with_raw_response.create(model="m", input="hi", tools=tools, text=schema)
        enforced = sdk.responses.with_raw_response.create(model="m", input="hi", text=schema)
    assert told.headers["x-sgcx-ignored"].split(", ") == [
        "arguments of strict_read: not enforced by this engine",
        "grammar of patch: not enforced by this engine",
        "text.format beside tools: not enforced by this engine",
    ]
    assert "x-sgcx-ignored" not in enforced.headers
    assert upstream.requests[1]["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_an_input_that_no_engine_bound_to_its_grammar_is_checked_and_goes_out_all_the_same(paths, caplog):
    patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"
    written = {"0": patch, "1": patch.replace("+x", "x"), "2": "```\n1+2\n```", "3": patch.partition("+")[0]}
    names = {"2": "sum"}
    calls = [
        call(int(index), names.get(index, "apply_patch"), json.dumps({"input": text}), f"id{index}")
        for index, text in written.items()
    ]
    tools = [
        {"type": "custom", "name": name, "format": {"type": "grammar", "syntax": syntax, "definition": definition}}
        for name, syntax, definition in (("apply_patch", "lark", APPLY_PATCH), ("sum", "regex", r"\d+(\+\d+)*\n"))
    ]
    play = (chunk(tool_calls=calls), chunk("tool_calls"), usage(9, 4), DONE)
    with played(play) as upstream, client(upstream, paths) as sdk:
        with sdk.responses.stream(model="m", input="hi", tools=tools) as stream:
            stream.until_done()
            streamed = stream.get_final_response()
        whole = sdk.responses.create(model="m", input="hi", tools=tools)
        metrics = httpx.get(str(sdk.base_url.join("/metrics")), headers=sdk.auth_headers).text
    for response in (streamed, whole):
        assert response.status == "completed"
        assert [item.input for item in response.output] == [*map(written.get, "01"), "1+2\n", written["3"]]
        for problem in ("does not match its grammar from character 33 on", "ends too early for its grammar"):
            assert f"{response.id}: the input of the tool 'apply_patch' {problem}" in caplog.text
    assert 'sgcx_custom_inputs_total{verdict="matches"} 4.0' in metrics
    assert 'sgcx_custom_inputs_total{verdict="differs"} 4.0' in metrics


def test_the_upstreams_refusals_are_the_sdks_errors(paths):
    answers = [
        (400, {"message": "longer than the model's context length"}, {}),
        (503, {"message": "full"}, {"retry-after": "7"}),
        (401, {"error": "Unauthorized"}, {}),
    ]
    with played(answers) as upstream, client(upstream, paths) as sdk:
        with pytest.raises(openai.BadRequestError) as too_long:
            sdk.responses.create(model="m", input="hi")
        with pytest.raises(openai.InternalServerError) as full:
            sdk.responses.create(model="m", input="hi", stream=True)
        with pytest.raises(openai.InternalServerError) as unauthorized:
            sdk.responses.create(model="m", input="hi")
    assert too_long.value.code == "context_length_exceeded"
    assert (full.value.status_code, full.value.response.headers["retry-after"]) == (503, "7")
    assert unauthorized.value.status_code == 502
    assert "--upstream-key-file" in unauthorized.value.message


def test_an_answer_that_breaks_ends_with_one_failure(paths):
    with played((chunk(content="Hel"), 0.05)) as upstream, client(upstream, paths) as sdk:
        events = list(sdk.responses.create(model="m", input="hi", stream=True))
    assert events[-1].type == "response.failed"
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_a_client_that_leaves_takes_the_upstream_request_along(paths):
    with played((chunk(content="Hel"), 30.0)) as upstream, client(upstream, paths) as sdk:
        with sdk.responses.create(model="m", input="hi", stream=True) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")
        assert upstream.left.wait(5)


def test_the_model_goes_by_the_name_it_is_served_under(paths):
    with played(HELLO) as upstream, client(upstream, paths, served_model_name="mine") as sdk:
        assert [model.id for model in sdk.models.list()] == ["mine"]
        assert sdk.responses.create(model="mine", input="hi").model == "mine"
        with pytest.raises(openai.NotFoundError):
            sdk.responses.create(model="m", input="hi")
    assert upstream.requests[0]["model"] == "m"


def test_the_gateway_has_a_key_of_its_own_and_sends_the_upstreams(paths, tmp_path):
    secret = tmp_path / "upstream-key"
    secret.write_text("upstream-secret\n")
    secret.chmod(0o600)
    with (
        played(HELLO) as upstream,
        gateway(upstream, paths, upstream_key_file=secret) as (url, key),
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        body = {"model": "m", "input": "hi"}
        assert http.post("/v1/responses", json=body).status_code == 401
        assert http.post("/v1/responses", json=body, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert [headers["authorization"] for headers in upstream.headers] == ["Bearer upstream-secret"]


def test_without_a_key_it_answers_programs_and_not_web_pages(paths):
    with (
        played(HELLO) as upstream,
        gateway(upstream, paths, authentication=False) as (url, _),
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        assert http.post("/v1/responses", json={"model": "m", "input": "hi"}).status_code == 200
        page = {"Origin": "https://somewhere.example"}
        assert http.post("/v1/responses", json={"model": "m", "input": "hi"}, headers=page).status_code == 403


def test_a_path_that_nothing_serves_is_the_sdks_error(paths):
    with played(HELLO) as upstream, client(upstream, paths) as sdk, pytest.raises(openai.NotFoundError) as error:
        sdk.files.list()
    assert error.value.code == "unknown_url"
    assert "'/v1/files'" in error.value.message
    assert error.value.request_id


def test_health_is_the_upstreams(paths):
    with ExitStack() as engine, httpx.Client(trust_env=False) as http:
        upstream = engine.enter_context(played(HELLO))
        prepared = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0), paths)
        with running(prepared.app) as port:
            health = f"http://127.0.0.1:{port}/health"
            assert http.get(health).status_code == 200
            engine.close()
            assert http.get(health).status_code == 503


def test_an_upstream_that_is_not_up_yet_means_try_again(paths):
    with nobody_there() as url:
        prepared = prepare_gateway(GatewayOptions(upstream=url, model="m", context_length=9, port=0), paths)
        with running(prepared.app) as port:
            key = paths.api_key.read_text().strip()
            sdk = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0)
            with sdk, pytest.raises(openai.InternalServerError) as error:
                sdk.responses.create(model="m", input="hi")
    assert (error.value.status_code, error.value.response.headers["retry-after"]) == (503, "2")


# what is found out, and what must be said


def test_model_context_and_dialect_are_found_out(paths):
    models = [{"id": "/models/Kimi-K2.6", "owned_by": "sglang", "max_model_len": 4000}]
    with played(HELLO, models=models) as upstream:
        prepared = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, authentication=False), paths)
    model = prepared.model
    assert (model.name, model.context_length, model.dialect) == ("/models/Kimi-K2.6", 4000, "kimi_k2")
    assert (model.images, model.always_thinks, model.profile) == (True, False, "kimi-k2.6")
    assert prepared.api_key_path is None


@pytest.mark.parametrize(("version", "sent"), [("0.5.11", '"{\\"n\\":  1}"'), ("0.5.16", '{"n":  1}')])
def test_past_arguments_reach_each_sglang_as_it_decodes_them(paths, version, sent):
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"n":  1}'}
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    with played(HELLO, sglang_version=version) as upstream:
        prepared = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, dialect="kimi_k2"), paths)
        with running(prepared.app) as port:
            key = paths.api_key.read_text().strip()
            with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0) as sdk:
                sdk.responses.create(model="m", input=[{"role": "user", "content": "hi"}, call, output])
    [request] = upstream.requests
    assert request["messages"][-2]["tool_calls"][0]["function"]["arguments"] == sent


@pytest.mark.parametrize(
    ("version", "backend", "parser", "kind"),
    [
        ("0.5.10.post1", "xgrammar", "kimi_k2", "structural_tag"),
        ("0.5.23", "xgrammar", "kimi_k2", "structural_tag"),
        ("0.5.9", "xgrammar", "kimi_k2", "json_schema"),
        ("0.5.23", "outlines", "kimi_k2", "json_schema"),
        ("0.5.23", "xgrammar", None, "json_schema"),
        ("unknown", None, None, "json_schema"),
    ],
)
def test_an_sglang_with_xgrammar_is_bound_to_the_whole_constraint(paths, version, backend, parser, kind):
    text = {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}}
    with (
        played(HELLO, sglang_version=version, grammar_backend=backend, reasoning_parser=parser) as upstream,
        gateway(upstream, paths, authentication=False) as (url, _),
    ):
        httpx.post(f"{url}/v1/responses", json={"model": "m", "input": "hi", "text": text}, trust_env=False)
    assert upstream.requests[0]["response_format"]["type"] == kind


def test_r1_always_thinks(paths):
    models = [{"id": "some/DeepSeek-R1-Variant", "max_model_len": 4000}]
    with played(HELLO, models=models) as upstream:
        model = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0), paths).model
    assert (model.dialect, model.always_thinks, model.thinking_sampling.temperature) == ("deepseek_r1", True, 0.6)


@pytest.mark.parametrize(
    ("models", "options", "hint"),
    [
        ([{"id": "a"}, {"id": "b"}], {}, "--model"),
        ([{"id": "a", "max_model_len": 5}], {"model": "b"}, "--model"),
        ([{"id": "a"}], {}, "--context"),
        ([], {}, "--model"),
    ],
)
def test_what_stays_open_is_asked_for(paths, models, options, hint):
    with played(HELLO, models=models) as upstream, pytest.raises(UserError) as error:
        prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, **options), paths)
    assert hint in (error.value.hint or "")


def test_an_upstream_that_is_down_is_named(paths):
    with nobody_there() as url, pytest.raises(UserError, match="does not answer") as error:
        prepare_gateway(GatewayOptions(upstream=url, port=0), paths)
    assert "--context" in (error.value.hint or "")


def test_a_key_file_that_others_can_read_is_refused(paths, tmp_path):
    secret = tmp_path / "upstream-key"
    secret.write_text("k")
    secret.chmod(0o644)
    with played(HELLO) as upstream, pytest.raises(UserError, match="read by others"):
        prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, upstream_key_file=secret), paths)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://h:1", "http://h:1/v1"),
        ("http://h:1/", "http://h:1/v1"),
        ("https://h/api/v1/", "https://h/api/v1"),
        ("http://h:1/v1/chat/completions", "http://h:1/v1"),
    ],
)
def test_the_upstreams_url_may_be_written_in_several_ways(given, url):
    assert normalize_url(given, option="--upstream", key_option="--upstream-key-file") == url


@pytest.mark.parametrize("given", ["h:1", "ftp://h", "http://", "http://u:p@h/v1", "http://h/v1?key=k", "http://h:x"])
def test_what_is_no_plain_url_is_refused(given):
    with pytest.raises(UserError):
        normalize_url(given, option="--upstream", key_option="--upstream-key-file")


def test_the_command_serves_until_ctrl_c(tmp_path):
    program = "import typer; from sgcx.cli import gateway; app = typer.Typer(); gateway.register(app); app()"
    with played(HELLO) as upstream:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--upstream", upstream.url, "--port", "0", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"SGCX_HOME": str(tmp_path), "PATH": ""},
            preexec_fn=as_from_a_terminal,
        )
        try:
            assert process.stdout.readline() == "{\n"
            [base_url] = [line.split('"')[3] for line in iter(process.stdout.readline, "}\n") if '"base_url"' in line]
            key = (tmp_path / "config" / "api-key").read_text().strip()
            with openai.OpenAI(base_url=base_url, api_key=key, max_retries=0) as sdk:
                assert sdk.responses.create(model="m", input="hi").output_text == "Hello"
            process.send_signal(2)
            _, log = process.communicate(timeout=15)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, log
    assert "cached_tokens=8" in log
    assert "Stopped" in log
    assert key not in log


_FREEZES = """
import gc, os, signal
from starlette.applications import Starlette
from sgcx.http.gateway import serve

def ready():
    print(gc.get_freeze_count() > 10_000, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

serve(Starlette(), host="127.0.0.1", port=0, on_ready=ready)
"""


def test_what_was_there_at_the_start_is_left_out_of_garbage_collection():
    done = subprocess.run([sys.executable, "-c", _FREEZES], capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr
