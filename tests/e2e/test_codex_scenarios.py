"""What people do with Codex beside plain work: the real Codex, the current and an older one, on the real SGLang."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import prefix_reuse
import pytest
from codex_sessions import CodexRunner, run_without_profile_files, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.codex]

MCP_SERVER = Path(__file__).with_name("mcp_forecast.py")
WEATHER = f'mcp_servers.weather={{command="{sys.executable}",args=["{MCP_SERVER}"],required=true}}'
FORECAST = 'call mcp__weather__forecast with {"city": "Bern", "days": "3"}'
SUMMARY_OF_COMPACTION = "request resp_\\w+: prompt cache hit; tools kept"


@pytest.fixture
def codex(rehearsal, tmp_path):
    return CodexRunner(rehearsal, tmp_path)


@pytest.fixture
def older_codex(rehearsal, tmp_path, older_codex_binary):
    home, directory = tmp_path / "older", tmp_path / "project"
    home.mkdir()
    directory.mkdir()
    return run_without_profile_files(rehearsal, home, directory, older_codex_binary)


def reuses_since(rehearsal, offset):
    return prefix_reuse.read_log(rehearsal.log_since(offset))


# --- Tools ---------------------------------------------------------------------------------------------------------


def forecast_of(session):
    [call] = session.items("mcp_tool_call")
    assert (call["server"], call["tool"], call["status"]) == ("weather", "forecast", "completed")
    assert call["arguments"] == {"city": "Bern", "days": 3}, "the schema wants a number"
    return call["result"]["content"][0]["text"]


def test_a_tool_of_an_mcp_server_is_called_as_its_schema_wants(codex):
    session = codex.completed("-c", WEATHER, FORECAST)
    assert forecast_of(session) == "3 days of sun in Bern"
    assert "3 days of sun in Bern" in session.answer


def test_an_image_reaches_a_model_that_reads_text_only_as_a_note(codex, rehearsal, tmp_path):
    picture = tmp_path / "red.png"
    picture.write_bytes(png(8, 8, b"\xff\0\0"))
    view = f"call view_image with {json.dumps({'path': str(picture)})}"
    assert "do not support image input" in codex.completed(view).answer, "Codex knows it from the catalog"
    catalog = json.loads((Path(rehearsal.machine.environment["CODEX_HOME"]) / "sgcx-models.json").read_bytes())
    catalog["models"][0]["input_modalities"] = ["text", "image"]
    claimed = tmp_path / "models.json"
    claimed.write_text(json.dumps(catalog))
    session = codex.completed("-c", f'model_catalog_json="{claimed}"', view)
    assert session.answer.endswith("[image left out: this model reads text only]")
    attached = codex.completed("-c", f'model_catalog_json="{claimed}"', "-i", str(picture), "--", "hello")
    assert "scripted" in attached.answer


def png(width, height, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + colour * width) * height
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def test_arguments_are_mended_by_the_schema_and_what_cannot_be_is_told_to_the_model(codex):
    mended = codex.completed('call exec_command with {"cmd": "echo mended", "yield_time_ms": "1000", "tty": null}')
    assert mended.commands[0][0] == 0
    assert "failed to parse" in codex.completed('call exec_command with {"command": "ls"}').answer


# --- Ways to work --------------------------------------------------------------------------------------------------


def test_a_review_ends_with_its_findings(codex, tmp_path):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "init", "-q", "."], cwd=tmp_path, check=True)
    (tmp_path / "a.py").write_text("print(1)\n")
    subprocess.run([*git, "add", "a.py"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], cwd=tmp_path, check=True)
    (tmp_path / "a.py").write_text("print(2)\n")
    session = codex.completed("review", "--uncommitted")
    assert "listed, not judged" in session.answer
    assert "+print(2)" in session.items("command_execution")[0]["aggregated_output"]


def test_the_last_message_obeys_an_output_schema(codex, tmp_path):
    fields = {"title": {"type": "string"}, "files": {"type": "array", "items": {"type": "string"}}}
    schema = tmp_path / "schema.json"
    schema.write_text(
        json.dumps({"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False})
    )
    answer = {"title": "Two files", "files": ["a.py", "b.py"]}
    session = codex.completed("--output-schema", str(schema), f"answer with {json.dumps(answer)}")
    assert json.loads(session.answer) == answer


def test_a_session_is_resumed_with_everything_the_engine_knew_of_it(codex, rehearsal, tmp_path):
    offset = rehearsal.log.stat().st_size
    first = codex.completed("write notes.txt with the launch code is 4711")
    second = codex.completed("resume", "--last", "read notes.txt")
    assert second.events[0]["thread_id"] == first.events[0]["thread_id"]
    assert "4711" in second.answer
    _, *later = reuses_since(rehearsal, offset)
    assert len(later) == 4
    assert all(reuse.outlook == "hit" and reuse.share > 0.99 for reuse in later), later


def test_an_interrupted_turn_frees_the_engine_and_the_session_goes_on(codex, rehearsal):
    offset = rehearsal.log.stat().st_size
    process = codex.popen("count to 4000")
    wait_for(lambda: "rule count" in rehearsal.log_since(offset))
    os.killpg(process.pid, signal.SIGINT)
    interrupted = codex.finish(process, offset)
    assert interrupted.exit_code != 0
    wait_for(lambda: "was left before its end" in rehearsal.log_since(offset))
    resumed = codex.completed("resume", "--last", "hello")
    assert resumed.events[0]["thread_id"] == interrupted.events[0]["thread_id"]
    assert "scripted" in resumed.answer
    assert reuses_since(rehearsal, offset)[-1].outlook == "hit"


def test_a_long_session_is_compacted_by_itself_with_the_history_in_the_cache(codex, rehearsal, tmp_path):
    offset = rehearsal.log.stat().st_size
    small = ("-c", "model_auto_compact_token_limit=3600")
    first = codex.completed(*small, "write 800 words")
    second = codex.completed("resume", "--last", *small, "write notes.txt with hello")
    third = codex.completed("resume", "--last", *small, "hello")
    assert {session.events[0]["thread_id"] for session in (second, third)} == {first.events[0]["thread_id"]}
    assert (tmp_path / "notes.txt").read_text() == "hello\n"
    assert len(re.findall(SUMMARY_OF_COMPACTION, rehearsal.log_since(offset))) == 1
    reuses = reuses_since(rehearsal, offset)
    assert reuses[1].outlook == "hit; tools kept"
    assert reuses[1].share > 0.99
    assert reuses[2].outlook.startswith("miss: input_changed"), "Codex itself wrote a shorter history"
    assert all(reuse.share > 0.99 for reuse in reuses[3:])


# --- Older Codex ---------------------------------------------------------------------------------------------------


def test_an_older_codex_works_with_the_same_keys_and_catalog(older_codex):
    assert "scripted" in older_codex.completed("hello").answer
    edited = older_codex.completed("-c", WEATHER, "write notes.txt with hello")
    assert (older_codex.directory / "notes.txt").read_text() == "hello\n"
    assert edited.items("file_change")
    session = older_codex.completed("resume", "--last", "-c", WEATHER, FORECAST)
    assert forecast_of(session) == "3 days of sun in Bern"


# --- A long day ----------------------------------------------------------------------------------------------------

_DAY = (
    "write notes{n}.txt with line {n}",
    "read notes{first}.txt",
    "Replace `line {first}` with `row {n}` in notes{first}.txt",
    "Run these: `echo one {n}` and `echo two {n}`",
    "Check the build: cat settings{n}.cfg",
    "think 60 steps",
    "hello",
    "add line `more {n}` to notes{first}.txt",
    "run: `seq 1 {n}`",
    "list files",
    "write 120 words",
    "read nothing{n}.txt",
)


@pytest.mark.parametrize("turns", [3, pytest.param(60, marks=[pytest.mark.thorough, pytest.mark.timeout(3000)])])
def test_a_session_of_many_turns_reuses_what_the_engine_knows(codex, rehearsal, turns):
    offset = rehearsal.log.stat().st_size
    limit = ("-c", "model_auto_compact_token_limit=12000")
    sessions = []
    for turn in range(turns):
        prompt = _DAY[turn % len(_DAY)].format(n=turn, first=turn - turn % len(_DAY))
        resumed = ("resume", "--last") if turn else ()
        sessions.append(codex.completed(*resumed, *limit, prompt))
    assert len({session.events[0]["thread_id"] for session in sessions}) == 1
    first, *later = reuses_since(rehearsal, offset)
    print("\n", prefix_reuse.table([first, *later]), "\n\n", prefix_reuse.summary([first, *later]), sep="")
    assert first.outlook == "miss: first_or_evicted"
    on = [reuse for reuse in later if reuse.outlook.startswith("hit")]
    assert all(reuse.share > 0.99 for reuse in on)
    compactions = sum(reuse.outlook == "hit; tools kept" for reuse in on)
    assert len(later) - len(on) == compactions, "only a history that Codex wrote anew is a miss"
    assert turns < 60 or compactions >= 2
