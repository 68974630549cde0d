"""Content parts: text, images, files. What the model cannot be given leaves a note for it and is reported."""

from __future__ import annotations

import base64
import binascii
import json
import re

from sgcx.byte_sizes import MIB
from sgcx.errors import InvalidRequest
from sgcx.responses.items import ImagePart, Part, TextPart
from sgcx.responses.parsing import Node

MAX_FILE_BYTES = 8 * MIB
"""More text than any context holds, and still quick to tokenize."""

_DATA_URL = re.compile(r"data:([^;,]*)[^,]*,")
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_ENCRYPTED_ELSEWHERE = "gAAAA"
"""How text begins that a provider has encrypted for itself (Fernet)."""


def parse_parts(node: Node, ignored: list[str]) -> tuple[Part, ...]:
    """A string, or an array of parts."""
    if node.is_null():
        return ()
    if node.is_string():
        return (TextPart(node.string()),)
    return tuple(part for element in node.items() if (part := parse_part(element, ignored)) is not None)


def parse_part(node: Node, ignored: list[str]) -> Part | None:
    kind = node.get("type").string()
    match kind:
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            return TextPart(node.get("text").string())
        case "refusal":
            return TextPart(node.get("refusal").string())
        case "input_image" | "computer_screenshot":
            return _image(node, ignored)
        case "input_file":
            return _file(node, ignored)
        case "encrypted_content":
            # Codex's agents write to each other like this. What we never encrypted comes as it was written.
            text = node.get("encrypted_content").string()
            if not text.startswith(_ENCRYPTED_ELSEWHERE):
                return TextPart(text)
    ignored.append(f"{node.path}.type={kind}")
    return None


def image_part(node: Node, detail: str = "auto") -> ImagePart:
    """Engines open any URL they are given, local files too. What is behind `https`, the endpoint fetches itself."""
    url = node.string()
    if not url.startswith(("data:image/", "https://")):
        raise InvalidRequest(f"`{node.path}` must be a data:image/ or https:// URL", param=node.path)
    return ImagePart(url, detail)


def _image(node: Node, ignored: list[str]) -> Part:
    url = node.get("image_url")
    if url.is_null():
        return _left_out(node, ignored, "file_id", "image left out: it is not kept here")
    detail = node.get("detail").optional_string()
    return image_part(url, detail if detail in ("low", "high") else "auto")


def _file(node: Node, ignored: list[str]) -> Part:
    name = node.get("filename").optional_string() or "unnamed"
    data = node.get("file_data")
    if data.is_null():
        field = "file_url" if node.get("file_url").is_string() else "file_id"
        return _left_out(node, ignored, field, f"file {name} left out: its content is not part of the request")
    if data.string().startswith("data:image/"):
        return image_part(data)
    content = _decoded(data)
    if len(content) > MAX_FILE_BYTES:
        return _left_out(node, ignored, "file_data", f"file {name} left out: it is larger than this server reads")
    text = _text_of(content)
    if text is None:
        return _left_out(node, ignored, "file_data", f"file {name} left out: it is not a text file")
    return TextPart(f"<file name={json.dumps(name, ensure_ascii=False)}>\n{text}\n</file>")


def _left_out(node: Node, ignored: list[str], field: str, note: str) -> TextPart:
    ignored.append(f"{node.path}.{field}")
    return TextPart(f"[{note}]")


def _decoded(data: Node) -> bytes:
    """Base64, alone or as a data URL."""
    encoded = data.string()
    prefix = _DATA_URL.match(encoded)
    try:
        return base64.b64decode(encoded[prefix.end() :] if prefix else encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"`{data.path}` must be base64", param=data.path) from error


def _text_of(content: bytes) -> str | None:
    """None for what is no text, whatever the file is called."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if text.startswith("%PDF-") or _CONTROL.search(text) else text
