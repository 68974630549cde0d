"""A chat completions server that answers at once with so many tokens: `python chat_mock.py PORT TOKENS`.

It reads its requests whole, as engines do, and writes each chunk by itself, so that what stands before it is measured
at its worst: one event for each token.
"""

from __future__ import annotations

import asyncio
import json
import sys

_USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def chunk(delta, finish_reason=None, usage=None):
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **({"usage": usage} if usage else {}),
    }
    data = b"data: " + json.dumps(document).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port, tokens):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    models = b'{"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 1000000}]}'
    pieces = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": f" tok{index}"}) for index in range(tokens)),  # all different: LiteLLM ends repetitions
        chunk({}, "stop"),
        chunk({}, usage={**_USAGE, "completion_tokens": tokens}),
        b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
    ]

    async def connected(reader, writer):
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(line.lower().split(b": ", 1) for line in request.split(b"\r\n")[1:-2])
                await reader.readexactly(int(lines.get(b"content-length", 0)))
                if request.startswith(b"GET"):
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(models)
                    )
                    writer.write(models)
                    continue
                writer.write(head)
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0)
                await writer.drain()
                if lines.get(b"connection") == b"close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=1 << 20)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
