"""SGLang's tool call and reasoning parsers, each text cut in several ways. Runs in the engine's Python."""

from __future__ import annotations

from sglang.srt.entrypoints.openai.protocol import Function, Tool
from sglang.srt.function_call.function_call_parser import FunctionCallParser
from sglang.srt.parser.reasoning_parser import ReasoningParser

TOOLS = [Tool(function=Function(name=name, parameters={"type": "object"})) for name in ("read", "shell")]


def _cuts(text):
    """The text in one piece, in single characters, and in two pieces at every place."""
    yield [text]
    yield list(text)
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))


def _calls(name, pieces):
    parser = FunctionCallParser(TOOLS, name)
    normal, calls = "", []
    results = [parser.parse_stream_chunk(piece) for piece in pieces]
    if hasattr(parser.detector, "finish"):
        held = parser.detector.finish()
        results.append((held.normal_text, held.calls))
    for text, items in results:
        normal += text
        for item in items:
            if item.name:
                calls.append([item.tool_index, item.name, ""])
            calls[-1][2] += item.parameters
    return [normal, calls]


def _every_result_of_calls(name, text):
    """All that the cuts of a text give: one result, if the cut makes no difference. And the whole text's."""
    found = []
    for pieces in _cuts(text):
        result = _calls(name, pieces)
        if result not in found:
            found.append(result)
    normal, calls = FunctionCallParser(TOOLS, name).parse_non_stream(text)
    return [found, [normal, [[call.tool_index, call.name, call.parameters] for call in calls]]]


def _kimi(*calls):
    body = "".join(
        f"<|tool_call_begin|>{name}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"
        for name, arguments in calls
    )
    return f"<|tool_calls_section_begin|>{body}<|tool_calls_section_end|>"


def kimi_tool_calls():
    two = _kimi(("functions.shell:7", '{"cmd": "a < b"}'), ("functions.read:8", "{}"))
    odd = _kimi(("call_x", "{}"), ("functions.shell", "{}"))
    cut = _kimi(("functions.read:0", "{}"), ("functions.shell:1", '{"cmd"')).partition('"cmd"')[0]
    return {
        "two": _every_result_of_calls("kimi_k2", "I look <|here." + two + "Done."),
        "odd ids": _every_result_of_calls("kimi_k2", "A" + odd + "B"),
        "cut off": _every_result_of_calls("kimi_k2", "A" + cut),
        "no call": _every_result_of_calls("kimi_k2", "1 <| 2"),
    }


def _v3(*calls):
    body = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
        for name, arguments in calls
    )
    return f"<｜tool▁calls▁begin｜>{body}<｜tool▁calls▁end｜>"


def deepseek_tool_calls():
    two = _v3(("shell", '{"cmd": "```"}'), ("read", "{}"))
    return {
        "two": _every_result_of_calls("deepseekv3", "See" + two),
        "fences": _calls("deepseekv3", ["Run:\n", "```sh\n", "ls\n```", "\n"]),
        "cut off": _every_result_of_calls("deepseekv3", _v3(("read", "{}"), ("shell", '{"c')).partition('"c')[0]),
    }


def deepseek_v31_tool_calls():
    calls = (("shell", '{"cmd": "ls"}'), ("read", "{}"))
    body = "".join(f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{text}<｜tool▁call▁end｜>" for name, text in calls)
    return _every_result_of_calls("deepseekv31", f"See<｜tool▁calls▁begin｜>{body}<｜tool▁calls▁end｜>")


def _reasoning(name, pieces):
    parser = ReasoningParser(name, stream_reasoning=True, force_reasoning=True)
    results = [parser.parse_stream_chunk(piece) for piece in pieces]
    if hasattr(parser.detector, "finish"):
        held = parser.detector.finish()
        results.append((held.reasoning_text, held.normal_text))
    return ["".join(reasoning for reasoning, _ in results), "".join(normal for _, normal in results)]


def reasoning_split():
    texts = {
        "answer": "<think>\nplan: a </b\n</think>\n\nSay <think> to them",
        "no end": "I think < of",
        "call": 'plan <|tool_calls_section_begin|>{"x": "</think>"}',
    }
    found = {}
    for title, text in texts.items():
        results = []
        for pieces in _cuts(text):
            result = _reasoning("kimi_k2", pieces)
            if result not in results:
                results.append(result)
        whole = ReasoningParser("kimi_k2", force_reasoning=True).parse_non_stream(text)
        found[title] = [results, list(whole)]
    return found


PROBES = {
    "kimi-tool-calls": kimi_tool_calls,
    "deepseek-tool-calls": deepseek_tool_calls,
    "deepseek-v31-tool-calls": deepseek_v31_tool_calls,
    "reasoning-split": reasoning_split,
}
