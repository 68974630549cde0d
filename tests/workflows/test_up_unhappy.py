"""`sgcx up` when something is in its way: a child never outlives a failure, a server that serves is never killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sgcx.errors import UserError
from sgcx.server.ports import free_port
from sgcx.workflows.launch import FAILED_LAUNCH_STOP_S

Until = Callable[[Callable[[], bool]], None]

_SAVING_FAILS = "def fail(*_): raise OSError(28, 'No space left on device')\nlaunch.save_record = fail"
_INTERRUPTED_IN_SPAWN = """
spawn = launch.spawn
def interrupted(*arguments, **options):
    spawn(*arguments, **options)
    raise KeyboardInterrupt
launch.spawn = interrupted
"""
_FAILS_BEFORE_THE_LAST_RECORD = "def fail(*_): raise RuntimeError('boom')\nlaunch._check_endpoint = fail"


@pytest.mark.parametrize(
    ("change", "state"),
    [(_SAVING_FAILS, None), (_INTERRUPTED_IN_SPAWN, None), (_FAILS_BEFORE_THE_LAST_RECORD, "FATAL")],
    ids=["no record can be written", "Ctrl-C before the record", "an error after the record"],
)
def test_a_failure_after_the_child_has_started_ends_the_child(box, change: str, state: str | None) -> None:
    code, said = box.sgcx("up", "rehearsal", "--port", "0", change=change)
    assert code != 0, said
    assert box.pids() == ()
    assert [server["state"] for server in box.status()] == ([] if state is None else [state])


def test_a_server_whose_record_is_damaged_is_listed_left_alone_by_up_and_found_by_down(box) -> None:
    pid = box.up()["pid"]
    box.record.write_text("{")
    [listed] = box.status()
    assert (listed["name"], listed["state"], listed["pid"]) == ("rehearsal", "RUNNING", pid)
    assert (listed["healthy"], listed["recorded"]) == (True, False)
    assert listed["exit_reason"] == "its record is damaged"

    code, said = box.sgcx("up", "rehearsal", "--port", "0")
    assert (code, "sgcx down rehearsal" in said) == (2, True), said
    assert pid in box.pids()

    code, said = box.sgcx("down", "rehearsal")
    assert code == 0, said
    assert box.pids() == ()
    assert box.sgcx("status") == (0, "No server has been started\n")


@pytest.mark.parametrize("written", ["", "[]", "{}"], ids=["empty", "another shape", "another version's"])
def test_a_server_whose_configuration_cannot_be_read_is_left_alone_and_the_way_out_is_told(box, written: str) -> None:
    pid = box.up()["pid"]
    (box.servers / "rehearsal" / "child.json").write_text(written)
    for command in ("up", "restart"):
        code, said = box.sgcx(command, "rehearsal")
        assert (code, "sgcx down rehearsal" in said) == (2, True), said
    assert pid in box.pids()


def test_a_start_that_was_killed_before_its_record_is_cleaned_up(box, until: Until) -> None:
    killed = box.start("up", "rehearsal", "--port", "0", mode="loads for ever")
    log = box.servers / "rehearsal" / "server.log"
    until(lambda: box.record.exists() and log.exists() and "up" in log.read_text())
    killed.kill()
    killed.communicate()
    box.record.unlink()
    [listed] = box.status()
    assert (listed["state"], listed["exit_reason"]) == ("STARTING", "its record is missing")
    [old] = box.pids()
    assert box.up()["pid"] != old


@pytest.mark.parametrize("written", [True, False], ids=["down was killed", "somebody sent SIGTERM"])
def test_a_server_that_is_stopping_is_awaited_and_then_started_again(box, written: bool) -> None:
    pid = box.up()["pid"]
    if written:
        box.record.write_text(json.dumps({**json.loads(box.record.read_text()), "state": "STOPPING"}))
    os.kill(pid, signal.SIGTERM)
    again = box.up()
    assert again["pid"] != pid
    assert not again["already_running"]
    assert [server["state"] for server in box.status()] == ["RUNNING"]


def test_a_stopping_server_is_shown_as_that_while_it_still_answers(box) -> None:
    box.up()
    box.record.write_text(json.dumps({**json.loads(box.record.read_text()), "state": "STOPPING"}))
    assert [server["state"] for server in box.status()] == ["STOPPING"]


def test_what_was_asked_and_is_not_done_is_said_and_the_key_is_the_servers(box) -> None:
    first = box.up("--no-auth")
    assert first["api_key_file"] is None
    again = box.up("--port", "1", "--host", "127.0.0.2", "--context", "4096")
    assert again["already_running"]
    assert again["api_key_file"] is None
    assert again["ignored_options"] == ["--host", "--port", "--context"]
    assert "--port needs `sgcx down rehearsal` first" in box.sgcx("up", "rehearsal", "--port", "1")[1]
    assert box.up()["ignored_options"] == []
    box.sgcx("down")
    assert box.up()["ignored_options"] == []
    with_key = box.up("--no-auth")
    assert with_key["ignored_options"] == ["--no-auth"]
    assert with_key["api_key_file"] is not None


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGTERM), (("--foreground",), signal.SIGTERM), (("--foreground",), signal.SIGHUP)],
    ids=["told to end", "told to end in the foreground", "without its terminal"],
)
def test_an_up_that_ends_while_the_server_starts_stops_it(
    box, until: Until, options: tuple[str, ...], number: int
) -> None:
    process = box.start("up", "rehearsal", "--port", "0", *options, mode="loads for ever")
    until(lambda: box.record.exists() and bool(box.pids()))
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert box.pids() == ()
    assert [server["state"] for server in box.status()] == ["STOPPED"]


@pytest.mark.parametrize(
    ("mode", "options"),
    [("loads for ever, stubborn", ()), ("serves, stubborn", ("--foreground",))],
    ids=["while it starts", "in the foreground"],
)
def test_ctrl_c_once_more_ends_at_once_a_server_that_does_not_end(
    box, until: Until, mode: str, options: tuple[str, ...]
) -> None:
    process = box.start("up", "rehearsal", "--port", "0", *options, mode=mode)
    log = box.servers / "rehearsal" / "server.log"
    wanted = "RUNNING" if options else "STARTING"
    until(lambda: box.record.exists() and json.loads(box.record.read_text())["state"] == wanted)
    until(lambda: "engine is up" in log.read_text())
    process.send_signal(signal.SIGINT)
    until(lambda: "told to end" in log.read_text())
    told = time.monotonic()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert time.monotonic() - told < FAILED_LAUNCH_STOP_S
    assert box.pids() == ()
    assert [server["state"] for server in box.status()] == ["STOPPED"]


@pytest.mark.parametrize("gone", ["its terminal", "who reads it"])
def test_a_server_in_the_foreground_ends_with(box, until: Until, gone: str) -> None:
    process = box.start("up", "rehearsal", "--port", "0", "--foreground")
    until(lambda: box.record.exists() and json.loads(box.record.read_text())["state"] == "RUNNING")
    if gone == "its terminal":
        process.send_signal(signal.SIGHUP)
    else:
        process.stdout.close()

        def ends_at_a_line_that_nobody_takes() -> bool:
            with (box.servers / "rehearsal" / "server.log").open("a") as log:
                log.write("a line\n")
            return process.poll() is not None

        until(ends_at_a_line_that_nobody_takes)  # it shows those only that come after it has begun to
    process.wait(timeout=120)
    assert box.pids() == ()
    process.communicate()


def test_an_ipv6_address_is_served_and_asked_and_refused_in_words_where_there_is_none(box) -> None:
    try:
        free_port("::1")
    except UserError as refusal:
        code, said = box.sgcx("up", "rehearsal", "--host", "::1", "--port", "0")
        assert (code, refusal.message in said) == (2, True), said
    else:
        assert str(box.up("--host", "::1")["base_url"]).startswith("http://[::1]:")
        assert [server["healthy"] for server in box.status()] == [True]


def test_an_address_of_another_machine_is_refused_before_anything_starts(box) -> None:
    code, said = box.sgcx("up", "rehearsal", "--host", "192.0.2.1", "--port", "0")
    assert (code, "cannot listen on 192.0.2.1" in said, "Traceback" in said) == (2, True, False)
    assert box.status() == []


def test_whoever_has_taken_the_port_is_named_and_gets_no_key(box) -> None:
    asked: list[tuple[str, str | None]] = []

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        code, said = box.sgcx(
            *("up", "rehearsal", "--port", str(stranger.server_port)),
            change="launch.require_free_port = lambda *_: None",
            mode="loads for ever",
        )
        stranger.shutdown()
        thread.join()
    assert code == 1
    assert f"was taken while the engine loaded, by pid {os.getpid()}" in said
    assert set(asked) == {("/health", None)}
    assert box.pids() == ()


def test_a_dry_run_refuses_the_names_that_a_real_one_refuses(box) -> None:
    for flags in ([], ["--dry-run"]):
        code, said = box.sgcx("up", "rehearsal", "--name", "../x", *flags)
        assert (code, "is no name for a server" in said) == (2, True)


def test_a_stray_directory_among_the_servers_is_no_server(box) -> None:
    (box.servers / ".trash it").mkdir(parents=True)
    assert box.sgcx("status") == (0, "No server has been started\n")
    assert box.sgcx("doctor", "--json")[1].count(".trash") == 0


def test_an_address_that_is_no_url_is_a_server_that_does_not_answer() -> None:
    from sgcx.workflows.servers import probe

    assert not probe("http://::1:30000/v1")
    assert not probe("")
    assert not probe(f"http://127.0.0.1:{free_port('127.0.0.1')}/v1")
