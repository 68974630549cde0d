"""The endpoint as an ASGI application in this process, a client that checks every answer, and an engine that plays."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import zlib
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import zstandard
from fuzz_steps import HttpStep, encoded
from openai.types.responses import Response
from playing_engine import FAULTY, SECRET, PlayingEngine
from pydantic import TypeAdapter, ValidationError
from sdk_judge import TERMINAL, judge

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.http.endpoint import Endpoint
from sgcx.http.router import create_router
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.store.sealing import AesGcmSeal

DEADLINE_S = 20
CLIENT_LEFT = 499
MODEL = ServedModel("m", 1000, True, False, Sampling(1.0, 0.95), Sampling(0.6, 0.95))


@dataclass
class FuzzedEndpoint:
    storage: object
    engine: PlayingEngine = field(default_factory=PlayingEngine)
    known: dict = field(default_factory=dict)
    """What `@response` and its like stand for."""
    made_by: dict = field(default_factory=dict)
    """What the client sent for a response, by its id: it may be looked up later."""

    def __post_init__(self):
        self.app = create_router(
            Endpoint(
                lambda _: self.engine, KimiK2(), MODEL, (), storage=self.storage, seal=AesGcmSeal(bytes(32), model="m")
            )
        )

    async def session(self, play, steps):
        """Sends `steps`, checks each answer, and that nothing is left of any of them."""
        self.engine.play, self.known, self.made_by = play, {"@huge": "x" * 70_000}, {}
        problems = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        with _Errors(logging.getLogger("sgcx")) as errors:
            for step in steps:
                async with asyncio.timeout(DEADLINE_S):
                    await (self._http(step) if isinstance(step, HttpStep) else self._websocket(step))
                    await _quiet()
                assert self.engine.open == 0, "a generation was left open"
        assert play in FAULTY or not errors, errors
        assert not problems, problems

    # HTTP

    async def _http(self, step):
        step = self._filled(step)
        path, _, query = step.path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": step.method,
            "path": unquote_to_bytes(path).decode(errors="replace"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": _headers(step),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "extensions": {},
        }
        exchange = _Exchange(_body(step), step.reads)
        await self.app(scope, exchange.receive, exchange.send)
        if exchange.status != CLIENT_LEFT and (step.reads is None or exchange.ended):
            self._check_http(step, exchange)

    def _check_http(self, step, exchange):
        status, body = exchange.status, bytes(exchange.body)
        _check_text(body.decode())
        for name, value in exchange.headers:
            assert re.fullmatch(rb"[\x20-\x7e]*", name + value), (name, value)
        if exchange.content_type.startswith(b"text/event-stream"):
            self._check_events(_frames(body), _sent(step))
            return
        if status == 404 and exchange.content_type.startswith(b"text/plain"):
            return  # the router's own
        answer = json.loads(body)
        if status == 200:
            self._check_object(answer, _sent(step))
        else:
            self._check_error(status, answer["error"])

    def _check_error(self, status, error):
        assert status in (400, 404, 405, 415) or (self.engine.play in FAULTY), (status, error)
        assert isinstance(error["message"], str) and error["message"]
        assert error["type"] in ("invalid_request_error", "server_error")
        assert error["request_id"]
        if status == 400 and self.engine.play not in FAULTY:
            assert isinstance(error["param"], str) or re.search(
                "request body|[Tt]he message |leave no room", error["message"]
            ), error

    def _check_object(self, answer, sent):
        match answer.get("object"):
            case "response" if "deleted" not in answer:
                self._learn(answer, sent)
                Response.model_validate(self._without_echo(answer))
            case "conversation":
                self.known["@conversation"] = answer["id"]
            case "list" if answer["data"]:
                self.known["@item"] = answer["data"][0]["id"]

    # streams

    def _check_events(self, events, sent):
        if not events or events[0]["type"] != "response.created":
            return  # the rest of a stream that is followed from its middle
        check_grammar(events)
        self._learn(events[-1]["response"], sent)
        judge([self._judged(event) for event in events])

    def _learn(self, response, sent):
        self.made_by.setdefault(response["id"], sent)
        if response.get("store") or response.get("id"):
            self.known["@response"] = response["id"]
        for item in response["output"]:
            self.known["@item"] = item["id"]
            if "call_id" in item:
                self.known["@call"] = item["call_id"]

    def _without_echo(self, response):
        sent, replaced = self.made_by[response["id"]], {}
        for name in _LENIENT:
            if name in sent and not _accepts(name, response.get(name)):
                replaced[name] = {"tools": [], "tool_choice": "auto", "text": None, "reasoning": None}.get(name)
        return {**response, **replaced}

    def _judged(self, event):
        return {**event, "response": self._without_echo(event["response"])} if "response" in event else event

    # WebSocket

    async def _websocket(self, step):
        messages = [self._filled(message) for message in step.messages]
        scope = {
            "type": "websocket",
            "http_version": "1.1",
            "path": "/v1/responses",
            "raw_path": b"/v1/responses",
            "scheme": "ws",
            "query_string": b"",
            "headers": [],
            "root_path": "",
            "server": None,
            "client": None,
            "subprotocols": [],
            "extensions": {},
        }
        connection = _Connection(messages, step.stays)
        await self.app(scope, connection.receive, connection.send)
        answers = iter(connection.answers)
        for message, events in zip(messages, answers, strict=False):
            sent = message if isinstance(message, dict) else {}
            for event in events:
                _check_text(json.dumps(event))
            *before, last = events
            if last["type"] == "error":
                self._check_error(last["status"], last["error"])
                assert not before, "an error after events"
            elif last["type"] in TERMINAL:
                lane = sent.get("stream_id")
                assert all(event.pop("stream_id", None) == lane for event in events)
                self._check_events(events, sent)
        if step.stays:
            assert len(connection.answers) == len(messages)

    def _filled(self, step):
        """With what earlier steps were given in the place of `@response` and its like."""
        match step:
            case HttpStep():
                path = re.sub("@[a-z]+", lambda found: self.known.get(found[0], "unknown"), step.path)
                return HttpStep(step.method, path, self._filled(step.body), step.headers, step.reads)
            case str():
                return self.known.get(step, step)
            case list() | dict():
                return _map_strings(step, lambda text: self.known.get(text, text))
        return step


def check_grammar(events):
    """At most one item is open; what belongs to it comes between its `added` and its `done`."""
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] in TERMINAL
    opened, done = None, 0
    for event in events[2:-1]:
        match event["type"]:
            case "response.output_item.added":
                assert opened is None
                opened = event["item"]
                assert event["output_index"] == done
            case "response.output_item.done":
                assert opened is not None and event["item"]["id"] == opened["id"]
                opened, done = None, done + 1
            case "response.in_progress":
                pass
            case _:
                assert opened is not None and event["output_index"] == done
                assert event.get("item_id", opened["id"]) == opened["id"]
    final = events[-1]["response"]
    assert opened is None or final["status"] == "failed" or opened["type"].endswith("_call")
    assert len(final["output"]) == done


_LENIENT = ("tools", "tool_choice", "text", "reasoning", "service_tier")
"""Responses repeat these as the client wrote them, and what clients may write is not bounded by the SDK's types."""


def _accepts(name, value):
    try:
        _FIELDS[name].validate_python(value)
    except ValidationError:
        return False
    return True


_FIELDS = {name: TypeAdapter(Response.model_fields[name].annotation) for name in _LENIENT}


class _Exchange:
    """One HTTP request and what is answered, up to the moment when the client leaves."""

    def __init__(self, body, reads):
        self._pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
        self._reads = reads
        self._left = asyncio.Event()
        if reads == 0:
            self._left.set()
        self.status, self.headers, self.body, self.ended, self._read = None, [], bytearray(), False, 0

    @property
    def content_type(self):
        return dict(self.headers).get(b"content-type", b"")

    async def receive(self):
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(0), "more_body": bool(self._pieces)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            assert self.status is None
            self.status, self.headers = message["status"], message["headers"]
            return
        assert self.status is not None and not self.ended
        self.body += message.get("body", b"")
        self.ended = not message.get("more_body", False)
        self._read += 1
        if self._read == self._reads:
            self._left.set()
        await asyncio.sleep(0)


class _Connection:
    """A WebSocket whose client sends the next message when the last is answered."""

    def __init__(self, messages, stays):
        self._messages = [
            {
                "type": "websocket.receive",
                **(
                    {"bytes": m} if isinstance(m, bytes) else {"text": m if isinstance(m, str) else encoded(m).decode()}
                ),
            }
            for m in messages
        ]
        self._stays = stays
        self._answered = asyncio.Event()
        self._answered.set()
        self._connected = False
        self.answers = []

    async def receive(self):
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        if self._stays or not self._messages:
            await (self._answered.wait() if self._stays else asyncio.sleep(0))
            self._answered.clear()
        return self._messages.pop(0) if self._messages else {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message):
        if message["type"] != "websocket.send":
            return
        event = json.loads(message["text"])
        if not self.answers or self.answers[-1][-1]["type"] in (*TERMINAL, "error"):
            self.answers.append([])
        self.answers[-1].append(event)
        await asyncio.sleep(0)
        if event["type"] in (*TERMINAL, "error"):
            self._answered.set()


class _Errors(logging.Handler):
    """The errors that are logged meanwhile."""

    def __init__(self, logger):
        super().__init__(logging.ERROR)
        self._logger, self._records = logger, []

    def emit(self, record):
        self._records.append(record.getMessage() + (f": {record.exc_info[1]!r}" if record.exc_info else ""))

    def __enter__(self):
        self._logger.addHandler(self)
        self._propagates, self._logger.propagate = self._logger.propagate, False
        return self._records

    def __exit__(self, *_):
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagates


async def _quiet():
    """Until no other task is left: background responses go on for a while."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


def _frames(body):
    *events, done, rest = body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.partition("\n")[2].removeprefix("data: ")) for frame in events]


def _check_text(text):
    for word in (SECRET, "Traceback", 'File "', "site-packages", "Error("):
        assert word not in text, word


def _body(step):
    return b"" if step.body is None else step.body if isinstance(step.body, bytes) else encoded(step.body)


def _headers(step):
    return [(name.encode(), value.encode("latin-1", "replace")) for name, value in step.headers]


def _sent(step):
    body = _decoded(step.body) if isinstance(step.body, bytes) else step.body
    return body if isinstance(body, dict) else {}


def _decoded(packed):
    """None where it is no JSON, however it is packed."""
    for unpack in (gzip.decompress, zstandard.ZstdDecompressor().decompress, bytes):
        try:
            return json.loads(unpack(packed))
        except (OSError, EOFError, zlib.error, zstandard.ZstdError, ValueError, RecursionError):
            pass
    return None


def _map_strings(value, change):
    match value:
        case str():
            return change(value)
        case list():
            return [_map_strings(element, change) for element in value]
        case dict():
            return {key: _map_strings(element, change) for key, element in value.items()}
    return value
