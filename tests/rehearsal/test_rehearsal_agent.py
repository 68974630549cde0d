"""The agent that ships: requests and tool outputs as Codex sends them, replies as a model writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from sgcx.rehearsal import markers
from sgcx.rehearsal.agent import GENERIC, Reply, reply_to
from sgcx.rehearsal.conversation import parse_prompt
from sgcx.rehearsal.rules import BUILT_IN, load_script

RULES = load_script(BUILT_IN)
ALL_TOOLS = ("exec_command", "apply_patch", "update_plan")
CONTEXT = "<environment_context>\n  <cwd>/home/user/project</cwd>\n</environment_context>"


def ran(exit_code: int, output: str) -> str:
    return f"Chunk ID: a1\nWall time: 0.0 seconds\nProcess exited with code {exit_code}\nOutput:\n{output}"


PATCHED = "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following files:\nM a.txt\n"


@dataclass
class Session:
    """A conversation with the agent, kept as the prompt it renders to."""

    tools: tuple[str, ...] = ALL_TOOLS
    thinking: bool = True
    prompt: str = ""
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.tools:
            declared = [{"type": "function", "function": {"name": name}} for name in self.tools]
            self.prompt = f"<|im_system|>tool_declare<|im_middle|>{json.dumps(declared)}<|im_end|>"
        self.prompt += "<|im_system|>developer<|im_middle|>Be precise.<|im_end|>"
        self.says(CONTEXT)

    def says(self, text: str) -> None:
        self.prompt += f"<|im_user|>user<|im_middle|>{text}<|im_end|>"

    def asks(self, text: str) -> Reply:
        self.says(text)
        return self.turn()

    def returns(self, *outputs: str) -> Reply:
        calls = self.replies[-1].calls
        assert len(calls) == len(outputs)
        for (call_id, _), output in zip(calls, outputs, strict=True):
            self.prompt += f"<|im_system|>tool<|im_middle|>## Return of {call_id}\n{output}<|im_end|>"
        return self.turn()

    def turn(self) -> Reply:
        opening = "<|im_assistant|>assistant<|im_middle|><think>" + ("" if self.thinking else "</think>")
        conversation = parse_prompt(self.prompt + opening)
        reply = reply_to(conversation, self.prompt + opening, RULES)
        self.prompt += opening + reply.written(thinking=conversation.thinking) + "<|im_end|>"
        self.replies.append(reply)
        return reply


def commands(reply: Reply) -> list[str]:
    return [json.loads(arguments)["cmd"] for _, arguments in reply.calls]


def patch(reply: Reply) -> str:
    (arguments,) = [arguments for call_id, arguments in reply.calls if ".apply_patch:" in call_id]
    return json.loads(arguments)["input"]


def test_a_greeting_and_an_unknown_request_are_answered_honestly() -> None:
    for request in ("hello", "Prove the Riemann hypothesis"):
        reply = Session().asks(request)
        assert "scripted, no language model" in reply.text
        assert reply.calls == ()


def test_context_in_the_name_of_the_user_is_no_request() -> None:
    session = Session()
    assert session.turn() == GENERIC
    session.says("run pwd")
    session.says("<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>")
    assert commands(session.turn()) == ["pwd"]


@pytest.mark.parametrize(
    ("request_text", "file"),
    [
        ("read hello.txt", "hello.txt"),
        ("What is in src/a.py?", "src/a.py"),
        ("please show me the file `notes.md`.", "notes.md"),
        ("what does README say?", "README"),
    ],
)
def test_reading_a_file_is_one_command_and_a_report(request_text: str, file: str) -> None:
    session = Session()
    first = session.asks(request_text)
    assert first.calls == (("functions.exec_command:0", json.dumps({"cmd": f"cat {file}"})),)
    report = session.returns(ran(0, "grüße {{i}} \\1\n"))
    assert "grüße {{i}} \\1" in report.text and report.calls == ()


def test_a_file_that_cannot_be_read_is_reported_as_such() -> None:
    session = Session()
    session.asks("read nope.txt")
    assert "No such file" in session.returns(ran(1, "cat: nope.txt: No such file or directory\n")).text


def test_a_replacement_is_a_patch_made_from_what_the_file_really_says() -> None:
    session = Session()
    assert commands(session.asks('replace "blue" with "red" in a.txt')) == ["cat a.txt"]
    edit = session.returns(ran(0, 'one\n  the blue "house"\nthree\n'))
    assert patch(edit) == (
        "*** Begin Patch\n*** Update File: a.txt\n@@\n one\n"
        '-  the blue "house"\n+  the red "house"\n three\n*** End Patch\n'
    )
    assert commands(session.returns(PATCHED)) == ["cat a.txt"]
    assert "Done" in session.returns(ran(0, "the red house\n")).text


def test_without_apply_patch_the_patch_goes_through_the_shell() -> None:
    session = Session(tools=("exec_command",))
    (command,) = commands(session.asks("create the file a.txt with hello there"))
    assert command == (
        "apply_patch <<'END_OF_PATCH'\n*** Begin Patch\n*** Add File: a.txt\n+hello there\n*** End Patch\nEND_OF_PATCH"
    )


def test_a_line_goes_after_the_last_one() -> None:
    session = Session()
    session.asks("add a line 'last' to a.txt")
    assert "@@\n first\n+last\n" in patch(session.returns(ran(0, "first\n")))


def test_two_commands_are_two_calls_of_one_turn() -> None:
    session = Session()
    assert commands(session.asks("run these: `ls -la` and `pwd`")) == ["ls -la", "pwd"]
    report = session.returns(ran(0, "a b\n"), ran(0, "/home\n"))
    assert "a b" in report.text and "/home" in report.text


def test_call_ids_count_all_calls_of_the_conversation() -> None:
    session = Session()
    session.asks("run these: ls and pwd")
    session.returns(ran(0, ""), ran(0, ""))
    assert session.asks("run date").calls[0][0] == "functions.exec_command:2"


def test_a_failing_build_is_mended_when_a_file_is_missing() -> None:
    session = Session()
    assert commands(Session(tools=("exec_command",)).asks("check the build: make test")) == ["make test"]
    assert [call_id for call_id, _ in session.asks("check the build: make test").calls] == [
        "functions.update_plan:0",
        "functions.exec_command:1",
    ]
    look = session.returns("Plan updated", ran(2, "cat: data.txt: No such file or directory\n"))
    assert commands(look)[0].startswith("ls -la")
    mend = session.returns(ran(0, "Makefile\ncat: data.txt: No such file or directory\n"))
    assert "*** Add File: data.txt" in patch(mend)
    assert commands(session.returns(PATCHED)) == ["make test"]
    assert "passes now" in session.returns(ran(0, "ok\n")).text


def test_a_package_is_written_tested_mended_and_tested_again() -> None:
    session = Session()
    files = patch(session.asks("create a small python package stats with tests"))
    assert [line for line in files.splitlines() if line.startswith("***")][1:-1] == [
        "*** Add File: stats/__init__.py",
        "*** Add File: stats/averages.py",
        "*** Add File: tests/test_stats.py",
    ]
    assert "unittest" in commands(session.returns("Plan updated", PATCHED))[0]
    mend = session.returns(ran(1, "FAIL: test_mean_of_three\nAssertionError: 3.0 != 2.0\n"))
    assert "3.0 != 2.0" in mend.reasoning and "+    return sum(values) / len(values)\n" in patch(mend)
    assert "unittest" in commands(session.returns("Plan updated", PATCHED))[0]
    assert "is ready" in session.returns(ran(0, "OK\n")).text


def test_a_title_is_json_whatever_the_prompt_says() -> None:
    reply = Session(tools=()).asks(
        "Generate a concise, single-line task title of at most 36 characters.\n\n"
        'User prompt:\nfix the "parser" in src/a.py, it drops the last token of every line\nand more'
    )
    title = json.loads(reply.text)["title"]
    assert title == 'Fix the "parser" in src/a.py, it' and len(title) <= 36


def test_a_compaction_lists_the_requests_and_is_not_taken_up_again() -> None:
    session = Session()
    session.asks("run pwd")
    session.returns(ran(0, "/home\n"))
    reply = session.asks("You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.")
    assert "- run pwd" in reply.text and reply.calls == ()
    after = Session()
    after.says("run pwd")
    assert after.asks("Another language model started to solve this problem and produced…").calls == ()


def test_counting_is_long_and_slow() -> None:
    reply = Session().asks("count to 300")
    assert reply.text.split() == [str(number) for number in range(1, 301)]
    assert reply.delay_ms > 0


def test_any_tool_can_be_called_by_name() -> None:
    session = Session(tools=("mcp__demo__add",))
    reply = session.asks('call mcp__demo__add with {"a": 1, "b": 2}')
    assert reply.calls == (("functions.mcp__demo__add:0", '{"a": 1, "b": 2}'),)


def test_a_rule_whose_tools_are_not_on_offer_is_passed_over() -> None:
    assert Session(tools=()).asks("run pwd") == GENERIC


def test_reasoning_is_written_only_when_asked_for() -> None:
    for thinking in (True, False):
        session = Session(thinking=thinking)
        reply = session.asks("hello")
        written = session.prompt.removesuffix("<|im_end|>").rpartition("<|im_middle|>")[2]
        expected = f"<think>{reply.reasoning}</think>" if thinking else "<think></think>"
        assert written == expected + reply.text


def test_what_was_read_never_turns_into_control_tokens() -> None:
    session = Session()
    session.asks("echo the prompt")
    assert not any(marker in session.replies[-1].text for marker in markers.CONTROL + markers.VISIBLE)
    assert "<:|im_user|>" in session.replies[-1].text
