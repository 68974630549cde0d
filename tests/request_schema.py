"""Requests of the API, one strategy for each thing that it knows: items, content parts, tools, fields.

A string that begins with `@` stands for something that the session was given before: `@response`, `@conversation`,
`@item`, `@call`, `@huge`; and `@deep KIND LEVELS` for something that no encoder would encode.
"""

from __future__ import annotations

from hypothesis import strategies as st

AMONG = st.sampled_from


def optional(**fields):
    return {name: st.just(value) if isinstance(value, str) else value for name, value in fields.items()}


def record(kind, required=None, **others):
    """Objects with this `type`; each of `others` may be absent."""
    required = {"type": st.just(kind), **(required or {})}
    return st.fixed_dictionaries(required, optional=others)


ODD = (
    "",
    " ",
    "\0",
    "\x1b[31m",
    "\r\n\r\nx-evil: 1",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\U0001f468\u200d\U0001f469",
    "é" * 300,
    "}{",
    '"',
    "\\",
    "</think>",
    "<|tool_calls_section_begin|>",
    "<|im_end|>",
    "<think>",
    "../../etc/passwd",
    "{{7*7}}",
    "{% raw %}",
    "%s%n",
    "null",
    "[DONE]",
    "data: x\n\n",
    "gAAAAB",
    "sgcx2.AAAA",
    "@huge",
    "a.b-c__d",
)
WORDS = AMONG(("hi", "exec_command", "ls", "call_1", "msg_1", "@call", "@item", "@response", "Grüße ✓", "two words"))
TEXT = st.one_of(WORDS, AMONG(ODD), st.text(max_size=20))
ID = st.one_of(AMONG(("call_1", "call_2", "@call", "@item", "functions.f:0")), TEXT)
NUMBERS = AMONG((0, 1, 2, -1, 0.5, 1.0, 7, 20, 21, 2**31, 2**53 + 1, 2**63, -(2**63), 10**30, 1e-300, 1e300, -0.0))


DEEP = st.builds(
    lambda kind, depth: f"@deep {kind} {depth}",
    AMONG(("array", "object", "namespace", "schema")),
    AMONG((9, 130, 260, 1000, 1500)),
)


LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JUNK = AMONG(
    (
        LEAVES,
        st.lists(LEAVES, max_size=3),
        st.dictionaries(AMONG(("type", "id", "name", "text", "content", "role", "x", "")), LEAVES, max_size=3),
        DEEP,
    )
).flatmap(lambda kind: kind)

# content

IMAGE = AMONG(
    ("data:image/png;base64,iVBORw0KGgo=", "https://[2001:db8::1]/a.png", "file:///etc/passwd", "data:image/", "@")
)
PART = st.one_of(
    record("input_text", {"text": TEXT}),
    record("output_text", {"text": TEXT}, annotations=st.just([])),
    record("refusal", {"refusal": TEXT}),
    record("input_image", image_url=IMAGE, file_id=ID, detail=AMONG(("auto", "low", "high", "original"))),
    record(
        "input_file",
        filename=TEXT,
        file_id=ID,
        file_url=IMAGE,
        file_data=AMONG(
            ("aGk=", "data:text/plain;base64,aGk=", "data:image/png;base64,aGk=", "AAECAw==", "//5oAGkA", "?")
        ),
    ),
    record("encrypted_content", {"encrypted_content": TEXT}),
    record("computer_screenshot", image_url=IMAGE),
    record("input_audio", {"input_audio": JUNK}),
)
CONTENT = st.one_of(TEXT, st.lists(PART, max_size=3))
STATUS = AMONG(("in_progress", "completed", "incomplete", "failed"))
ROLE = AMONG(("user", "system", "developer", "assistant"))

# tools

SCHEMA = AMONG(
    (
        {
            "type": "object",
            "properties": {"cmd": {"type": "string"}},
            "required": ["cmd"],
            "additionalProperties": False,
        },
        {"type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}, {"enum": [1, "x"]}]}}},
        {"type": "array", "items": {}},
        {"$ref": "#"},
        {},
    )
)
NAME = st.one_of(AMONG(("f", "g", "exec_command", "apply_patch", "shell", "x" * 64)), TEXT)
GRAMMAR = st.one_of(
    record("text"),
    record(
        "grammar",
        syntax=AMONG(("lark", "regex", "abnf")),
        definition=st.one_of(
            AMONG(('start: "a" B\nB: /b+/', "start: start", "(a|b)*c", "a{1,100000}", "((((", "start: ~")), TEXT
        ),
    ),
)
FUNCTION = record(
    "function", {"name": NAME}, description=TEXT, parameters=st.one_of(SCHEMA, st.none()), strict=st.booleans()
)
CUSTOM = record("custom", {"name": NAME}, description=TEXT, format=GRAMMAR)
TOOL = st.one_of(
    FUNCTION,
    CUSTOM,
    record("namespace", {"name": NAME, "tools": st.lists(st.one_of(FUNCTION, CUSTOM), max_size=2)}, description=TEXT),
    record("tool_search", execution=AMONG(("client", "server")), description=TEXT, parameters=SCHEMA),
    record("shell", environment=st.one_of(st.none(), record("local"), record("container_auto"))),
    record("local_shell"),
    record("apply_patch"),
    record("web_search", search_context_size=AMONG(("low", "high"))),
    record("file_search", {"vector_store_ids": st.just(["vs_1"])}),
    record("mcp", {"server_label": NAME}, server_url=IMAGE),
    record("code_interpreter", {"container": record("auto")}),
    record("image_generation"),
    record("computer_use_preview"),
    record("programmatic_tool_calling"),
    record("never_heard_of"),
)
NAMED = st.one_of(
    record("function", {"name": NAME}),
    record("custom", {"name": NAME}),
    record("namespace", {"name": NAME}),
    *(record(kind) for kind in ("shell", "local_shell", "apply_patch", "tool_search", "web_search", "file_search")),
    record("mcp", {"server_label": NAME}),
)
TOOL_CHOICE = st.one_of(
    AMONG(("auto", "none", "required")),
    NAMED,
    record("allowed_tools", {"mode": AMONG(("auto", "required")), "tools": st.lists(NAMED, max_size=3)}),
)

# items

ARGUMENTS = st.one_of(AMONG(("{}", '{"cmd": "ls"}', "not json", "[1]", '{"a":', '{"n": 1e999}', "NaN")), TEXT)
ACTION = record("exec", commands=st.lists(TEXT, max_size=2), command=st.lists(TEXT, max_size=2), env=st.just({}))
OUTPUT = st.one_of(TEXT, st.lists(PART, max_size=2))
CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "stdout": TEXT,
        "stderr": TEXT,
        "outcome": st.one_of(st.just({"type": "timeout"}), st.just({"type": "exit", "exit_code": 1})),
    },
)
ITEM = st.one_of(
    st.fixed_dictionaries({"role": ROLE, "content": CONTENT}),
    record(
        "message", {"role": ROLE, "content": CONTENT}, id=ID, status=STATUS, phase=AMONG(("commentary", "final_answer"))
    ),
    record("agent_message", {"content": CONTENT}, author=TEXT, recipient=TEXT),
    record(
        "reasoning",
        {"summary": st.lists(record("summary_text", {"text": TEXT}), max_size=2)},
        id=ID,
        content=st.lists(record("reasoning_text", {"text": TEXT}), max_size=2),
        encrypted_content=st.one_of(st.none(), TEXT),
    ),
    record(
        "function_call", {"call_id": ID, "name": NAME, "arguments": ARGUMENTS}, id=ID, namespace=NAME, status=STATUS
    ),
    record("function_call_output", {"call_id": ID, "output": OUTPUT}, id=ID, status=STATUS),
    record("custom_tool_call", {"call_id": ID, "name": NAME, "input": TEXT}, id=ID, namespace=NAME),
    record("custom_tool_call_output", {"call_id": ID, "output": OUTPUT}),
    record("tool_search_call", {"arguments": JUNK}, call_id=ID, execution=AMONG(("client", "server"))),
    record("tool_search_output", {"tools": st.lists(TOOL, max_size=2)}, call_id=ID, execution=st.just("client")),
    record("additional_tools", {"tools": st.lists(TOOL, max_size=2)}, role=st.just("developer")),
    record("configuration_update", reasoning=st.just({"effort": "low"}), text=st.just({"format": {"type": "text"}})),
    record("shell_call", {"call_id": ID, "action": ACTION}, status=STATUS),
    record("shell_call_output", {"call_id": ID, "output": st.lists(CHUNK, max_size=2)}),
    record("local_shell_call", {"call_id": ID, "action": ACTION, "id": ID}, status=STATUS),
    record("local_shell_call_output", {"id": ID, "output": TEXT}),
    record(
        "apply_patch_call", {"call_id": ID, "operation": st.just({"type": "delete_file", "path": "a"})}, status=STATUS
    ),
    record("apply_patch_call_output", {"call_id": ID, "status": STATUS}, output=TEXT),
    record("computer_call", {"call_id": ID, "action": st.just({"type": "screenshot"})}, id=ID),
    record("computer_call_output", {"call_id": ID, "output": record("computer_screenshot", image_url=IMAGE)}),
    record("web_search_call", {"id": ID, "status": STATUS, "action": st.just({"type": "search", "query": "x"})}),
    record(
        "file_search_call", {"id": ID, "queries": st.just(["x"])}, results=st.just([{"text": "a", "filename": "b"}])
    ),
    record("code_interpreter_call", {"id": ID, "code": TEXT}, outputs=st.just([{"type": "logs", "logs": "1"}])),
    record("image_generation_call", {"id": ID, "result": st.one_of(st.none(), st.just("aGk="))}, output_format=TEXT),
    record("mcp_list_tools", {"id": ID, "server_label": NAME, "tools": st.just([])}),
    record("mcp_call", {"id": ID, "name": NAME, "arguments": ARGUMENTS}, server_label=NAME, output=TEXT, error=JUNK),
    record("mcp_approval_request", {"id": ID, "name": NAME, "arguments": ARGUMENTS, "server_label": NAME}),
    record("mcp_approval_response", {"approval_request_id": ID, "approve": st.booleans()}),
    record("item_reference", {"id": ID}),
    record("compaction", {"encrypted_content": TEXT}, id=ID),
    record("compaction_trigger"),
    record("program", {"call_id": ID, "code": TEXT}),
    record("program_output", {"call_id": ID, "result": TEXT}),
    record("ghost_snapshot", ghost_commit=JUNK),
)
INPUT = st.one_of(TEXT, st.lists(ITEM, max_size=4))

# requests

INCLUDE = st.lists(
    AMONG(
        (
            "reasoning.encrypted_content",
            "message.output_text.logprobs",
            "web_search_call.action.sources",
            "file_search_call.results",
            "message.input_image.image_url",
            "never.heard_of",
        )
    ),
    max_size=3,
)
FORMAT = st.one_of(
    record("text"),
    record("json_object"),
    record("json_schema", {"name": NAME, "schema": SCHEMA}, strict=st.booleans(), description=TEXT),
)
FIELDS = optional(
    model=AMONG(("m", "another")),
    instructions=TEXT,
    tools=st.lists(TOOL, max_size=3),
    tool_choice=TOOL_CHOICE,
    parallel_tool_calls=st.booleans(),
    reasoning=st.fixed_dictionaries(
        {},
        optional=optional(
            effort=AMONG(("none", "minimal", "low", "medium", "high", "xhigh", "max", None)),
            summary=AMONG(("auto", "concise", "detailed", None)),
            generate_summary=AMONG(("auto", None)),
        ),
    ),
    text=st.fixed_dictionaries({}, optional=optional(format=FORMAT, verbosity=AMONG(("low", "medium", "high")))),
    include=INCLUDE,
    truncation=AMONG(("auto", "disabled")),
    store=st.booleans(),
    background=st.booleans(),
    previous_response_id=AMONG((*["@response"] * 8, "resp_0")),
    conversation=AMONG((*["@conversation", {"id": "@conversation"}] * 4, "conv_0")),
    temperature=AMONG((0, 0.5, 2, 2.1)),
    top_p=AMONG((0, 0.5, 1)),
    top_logprobs=AMONG((0, 1, 5, 20, 21)),
    max_output_tokens=AMONG((1, 16, 100, 1000, 10**9, 0)),
    max_tool_calls=AMONG((1, 2, 3, 4, 0)),
    metadata=AMONG(({}, {"a": "b"})),
    context_management=AMONG(([{"type": "compaction", "compact_threshold": 1}], [{"type": "compaction"}], [])),
    prompt=AMONG((None, {"id": "pmpt_1"})),
    prompt_cache_key=TEXT,
    prompt_cache_options=AMONG(({"prewarm": True}, {"mode": "explicit"})),
    prompt_cache_retention=AMONG(("24h", "in_memory")),
    safety_identifier=TEXT,
    service_tier=AMONG(("auto", "default", "flex", "priority")),
    stream_options=AMONG(({"include_obfuscation": False}, None)),
    user=TEXT,
    client_metadata=AMONG(({"x-codex-turn-metadata": '{"thread_source": "thread_title"}'}, {"a": "b"})),
    generate=st.booleans(),
    never_heard_of=JUNK,
)


@st.composite
def bodies(draw):
    """Bodies with a few of the fields that there are."""
    names = draw(st.lists(AMONG(sorted(FIELDS)), max_size=6, unique=True))
    body = {"input": draw(INPUT), "stream": draw(st.booleans()), **{name: draw(FIELDS[name]) for name in names}}
    if "tool_choice" in body and "tools" not in body:
        body["tools"] = draw(FIELDS["tools"])
    return body


BODY = bodies()
