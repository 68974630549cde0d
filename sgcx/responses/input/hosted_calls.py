"""Calls that a provider ran itself: in a history that began elsewhere they stand together with their results."""

from __future__ import annotations

from sgcx.responses.input.calls import as_arguments
from sgcx.responses.items import ImagePart, Part, TextPart, ToolCall, ToolOutput
from sgcx.responses.parsing import Node
from sgcx.responses.tools.names import exposed_name
from sgcx.responses.wire import JsonValue


def parse_hosted_call(node: Node, kind: str, ignored: list[str]) -> tuple[ToolCall, ToolOutput] | None:
    """The call and its output; None where the item says nothing about the result, or is no call."""
    match kind:
        case "mcp_call":
            return _mcp_call(node)
        case "file_search_call":
            return _file_search_call(node)
        case "code_interpreter_call":
            return _code_interpreter_call(node, ignored)
        case "image_generation_call":
            return _image_generation_call(node)
        case _:
            return None


def _mcp_call(node: Node) -> tuple[ToolCall, ToolOutput]:
    name = exposed_name(node.get("name").string(), node.get("server_label").optional_string())
    failure = node.get("error").value
    said = as_arguments(failure) if failure is not None else node.get("output").optional_string() or ""
    return _made(node, name, node.get("arguments").string(), TextPart(said))


def _file_search_call(node: Node) -> tuple[ToolCall, ToolOutput] | None:
    found = [
        TextPart(f"{result.get('filename').optional_string() or 'unnamed'}:\n{result.get('text').string()}\n\n")
        for result in node.get("results").items()
        if result.get("text").is_string()
    ]
    return _made(node, "file_search", {"queries": node.get("queries").value}, *found) if found else None


def _code_interpreter_call(node: Node, ignored: list[str]) -> tuple[ToolCall, ToolOutput] | None:
    if node.get("code").is_null():
        return None
    parts: list[Part] = []
    for output in node.get("outputs").items():
        if output.get("logs").is_string():
            parts.append(TextPart(output.get("logs").string()))
        else:
            ignored.append(f"{output.path}.type={output.get('type').value}")
    return _made(node, "code_interpreter", {"code": node.get("code").string()}, *parts)


def _image_generation_call(node: Node) -> tuple[ToolCall, ToolOutput] | None:
    if node.get("result").is_null():
        return None
    image_format = node.get("output_format").optional_string() or "png"
    image = ImagePart(f"data:image/{image_format};base64,{node.get('result').string()}", "auto")
    prompt = node.get("revised_prompt").optional_string() or ""
    return _made(node, "image_generation", {"prompt": prompt}, image)


def _made(node: Node, name: str, arguments: JsonValue, *output: Part) -> tuple[ToolCall, ToolOutput]:
    call_id = node.get("id").optional_string() or node.path
    return ToolCall(call_id, name, as_arguments(arguments)), ToolOutput(call_id, output)
