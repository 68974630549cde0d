"""SGLang's tokenizer manager without a scheduler, and what the server tells of itself. In the engine's Python."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from types import SimpleNamespace

import fastapi
from sglang.srt.entrypoints import http_server
from sglang.srt.managers.io_struct import AbortReq, BatchStrOutput, GenerateReqInput
from sglang.srt.managers.tokenizer_manager import ReqState, TokenizerManager
from sglang.srt.observability.req_time_stats import APIServerReqTimeStats
from sglang.srt.server_args import ServerArgs
from starlette.testclient import TestClient


class Lock:
    @property
    def reader_lock(self):
        return self._reader()

    @asynccontextmanager
    async def _reader(self):
        yield


class Manager(TokenizerManager):
    """Its scheduler only remembers what it is sent."""

    def __init__(self):
        self.server_args = SimpleNamespace(
            dp_size=1,
            language_only=False,
            tokenizer_worker_num=1,
            enable_trace=False,
            enable_lora=False,
            weight_version="1",
            skip_tokenizer_init=False,
            incremental_streaming_output=False,
            default_priority_value=None,
            enable_priority_scheduling=False,
        )
        self.rid_to_state = {}
        self.sent = []
        self.send_to_scheduler = SimpleNamespace(send_pyobj=self.sent.append)
        self.event_loop = "there is one"
        self.gracefully_exit = False
        self.is_pause = False
        self.is_pause_cond = asyncio.Condition()
        self.model_update_lock = Lock()
        self.enable_metrics = False
        self.enable_priority_scheduling = False
        self.tokenizer = None
        self.dump_requests_folder = self.crash_dump_folder = None
        self.disaggregation_mode = None
        self.request_logger = SimpleNamespace(
            log_received_request=lambda *_: None, log_finished_request=lambda *_, **__: None
        )
        self.request_metrics_exporter_manager = SimpleNamespace(exporter_enabled=lambda: False)
        self.refusal = None

    async def _tokenize_one_request(self, obj):
        if self.refusal:
            raise self.refusal
        return SimpleNamespace(time_stats=self.rid_to_state[obj.rid].time_stats)

    def _send_one_request(self, tokenized_obj):
        tokenized_obj.time_stats.set_api_server_dispatch_time()


def _request(rid, **fields):
    return GenerateReqInput(rid=rid, input_ids=[1], sampling_params={}, **fields)


async def _request_state():
    manager = Manager()
    manager.refusal = ValueError("too long")
    try:
        await anext(manager.generate_request(_request("refused")))
    except ValueError:
        left = list(manager.rid_to_state)
    manager.refusal = None
    running = asyncio.create_task(anext(manager.generate_request(_request("cancelled", stream=True))))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    # The scheduler's answer to the abort removes the state of the second one.
    return {"left": left, "aborted": [sent.rid for sent in manager.sent]}


async def _cancelled_wait():
    """Did a request end with an output although its cancellation was accepted?"""
    lost = False
    for steps in range(6):
        manager = Manager()
        request = asyncio.create_task(anext(manager.generate_request(_request("r", stream=True))))
        await asyncio.sleep(0.01)
        state = manager.rid_to_state["r"]
        state.out_list.append({"text": "out", "meta_info": {"finish_reason": None}})
        state.event.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        accepted = request.cancel()
        await asyncio.wait([request])
        lost |= accepted and not request.cancelled()
    return lost


async def _abort_status():
    found = []
    for status in (400, 408, 429, 503, None):
        manager = Manager()
        answer = asyncio.create_task(anext(manager.generate_request(_request("r"))))
        await asyncio.sleep(0.01)
        reason = {"type": "abort", "message": "no", "status_code": status}
        manager._handle_abort_req(AbortReq(rid="r", finished_reason=reason))
        try:
            found.append((await answer)["meta_info"]["finish_reason"]["type"])
        except ValueError:
            found.append(400)
        except fastapi.HTTPException as error:
            found.append(error.status_code)
    return found


async def _drain_refusal():
    manager = Manager()
    manager.gracefully_exit = True
    try:
        await asyncio.wait_for(anext(manager.generate_request(_request("late"))), 0.2)
    except fastapi.HTTPException as error:
        return error.status_code
    except TimeoutError:
        return "accepted"


async def _id_copies():
    """Is the list in an output the request's own: of a stream, and of a request without one?"""
    found = []
    for stream in (True, False):
        manager = Manager()
        state = ReqState([], False, asyncio.Event(), _request("one", stream=stream), APIServerReqTimeStats())
        manager.rid_to_state = {"one": state}
        manager._handle_batch_output(_first_token("one"))
        output = state.out_list[0]["output_ids"]
        found.append([output, output is state.output_ids])
    return found


def _first_token(rid):
    counted = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "retraction_counts")
    values = dict.fromkeys(field.name for field in dataclasses.fields(BatchStrOutput))
    values |= {name: [1] for name in counted}
    values |= {"rids": [rid], "finished_reasons": [None], "output_strs": ["a"], "output_ids": [[7]]}
    return BatchStrOutput(**values)


async def _abort_state():
    manager = Manager()
    state = ReqState([], False, asyncio.Event(), _request("one"), APIServerReqTimeStats())
    manager.rid_to_state = {"one": state}
    manager._handle_abort_req(AbortReq(rid="one"))
    told = state.out_list[0]["meta_info"]["finish_reason"]["message"]
    manager._handle_abort_req(AbortReq(rid="one"))
    manager._handle_abort_req(AbortReq(rid="never seen"))
    return [told, state.finished, state.event.is_set(), list(manager.rid_to_state), len(state.out_list)]


def _arguments():
    made = ServerArgs.__new__(ServerArgs)
    for field in dataclasses.fields(ServerArgs):
        setattr(made, field.name, field.default if field.default is not dataclasses.MISSING else None)
    made.api_key, made.admin_api_key, made.ssl_keyfile_password = "common-key", "admins-key", "passphrase"
    return made


def _secrets_in(text):
    return [secret for secret in ("common-key", "admins-key", "passphrase") if secret in text]


def secrets_in_log():
    said = repr(_arguments())
    return [_secrets_in(said), "model_path=" in said]


def secrets_in_server_info():
    arguments = _arguments()

    async def internal_state():
        return [{**vars(arguments), "last_gen_throughput": 1.0}]

    manager = SimpleNamespace(server_args=arguments, get_internal_state=internal_state)
    http_server.set_global_state(SimpleNamespace(tokenizer_manager=manager, scheduler_info={}))
    said = TestClient(http_server.app).get("/server_info").text
    return [_secrets_in(said), "last_gen_throughput" in said]


def mount_point():
    return TestClient(http_server.app, raise_server_exceptions=False).post("/v1/responses", json={}).text


PROBES = {
    "mount-point": mount_point,
    "request-state": lambda: asyncio.run(_request_state()),
    "cancelled-wait": lambda: asyncio.run(_cancelled_wait()),
    "abort-status": lambda: asyncio.run(_abort_status()),
    "abort-state": lambda: asyncio.run(_abort_state()),
    "id-copies": lambda: asyncio.run(_id_copies()),
    "drain-deadline": lambda: asyncio.run(_drain_refusal()),
    "secrets-in-log": secrets_in_log,
    "secrets-in-server-info": secrets_in_server_info,
}
