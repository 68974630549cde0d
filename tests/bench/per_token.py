"""Processor time of our layer per streamed token, stage by stage: `python tests/bench/per_token.py`.

Stages add up from top to bottom; the last is everything between the engine's text and the bytes for the socket.
The ratio is to encoding one chat completion chunk with the standard library, which makes runs on different machines
comparable.
"""

from __future__ import annotations

import asyncio
import json
import time

from sgcx.dialects.deepseek_r1 import DeepSeekR1
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.http.event_stream import EventStream
from sgcx.http.metrics import Metrics, ResponseWatch
from sgcx.http.turn.generation import Generation, events
from sgcx.responses import sse
from sgcx.responses.deltas import Finished
from sgcx.responses.generation.regeneration import generate_answer
from sgcx.responses.request import parse_request
from sgcx.responses.stream import ResponseStream

TOKENS = 20_000
PIECES = [f" word{number % 97}" for number in range(TOKENS)]
THINKING_OFF = "<think></think>"
REQUEST = parse_request({"input": "hi", "tools": [{"type": "function", "name": "exec_command"}]})
CHAT_CHUNK = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "kimi-k2.6",
    "choices": [{"index": 0, "delta": {"content": " word17"}, "logprobs": None, "finish_reason": None}],
}


def new_stream():
    return ResponseStream.of(
        REQUEST,
        response_id="resp_0123456789abcdef",
        model="kimi-k2.6",
        seal=None,
        new_id=lambda prefix: f"{prefix}_0123456789abcdef0123456789abcdef",
        now=lambda: 1_700_000_000,
    )


def reference():
    for _ in PIECES:
        b"data: %b\n\n" % json.dumps(CHAT_CHUNK).encode()


def read(dialect):
    reader = dialect.reader(prompt_tail=THINKING_OFF)
    for piece in PIECES:
        reader.feed(piece)


def stream(finish=len):
    reader, response = KimiK2().reader(prompt_tail=THINKING_OFF), new_stream()
    response.start()
    for piece in PIECES:
        for delta in reader.feed(piece):
            finish(response.feed(delta))


def encode():
    stream(lambda batch: b"".join(map(sse.encode, batch)))


async def serve():
    reader = KimiK2().reader(prompt_tail=THINKING_OFF)

    class Engine:
        async def generate(self, _request):
            for piece in PIECES:
                for delta in reader.feed(piece):
                    yield delta
            yield Finished("stop")

    async def send(message):
        pass

    async def receive():
        await asyncio.Event().wait()

    response = new_stream()
    batches = events(Generation(generate_answer(Engine(), None), ResponseWatch(Metrics())), response, request_id="resp")
    await EventStream(batches, response, heartbeat_s=10, headers={})({}, receive, send)


STAGES = {
    "one chat chunk, standard library": reference,
    "reader, Kimi K2": lambda: read(KimiK2()),
    "reader, DeepSeek R1": lambda: read(DeepSeekR1()),
    "+ response stream": stream,
    "+ server-sent events": encode,
    "+ asyncio, up to the socket": lambda: asyncio.run(serve()),
}


def microseconds_per_token(work, rounds=5):
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best / TOKENS * 1e6


def main():
    unit = microseconds_per_token(reference)
    for name, work in STAGES.items():
        spent = microseconds_per_token(work)
        print(f"{name:34} {spent:6.2f} us {spent / unit:6.2f} x")


if __name__ == "__main__":
    main()
