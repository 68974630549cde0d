from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from sgcx.errors import UserError
from sgcx.server.process_identity import ProcessIdentity
from sgcx.server.records import (
    LoadedRecord,
    ServerRecord,
    ServerState,
    announce_child,
    announce_gateway,
    announced_child,
    announced_gateway,
    list_records,
    load_record,
    remove_record,
    save_record,
)


def a_record(directory: Path, name: str = "one") -> ServerRecord:
    return ServerRecord(
        name=name,
        profile="rehearsal",
        served_model_name="rehearsal",
        state=ServerState.RUNNING,
        pid=4711,
        pid_create_time=12345.67,
        boot_id="a-boot",
        host="127.0.0.1",
        port=30000,
        base_url="http://127.0.0.1:30000/v1",
        engine="0.5.10.post1-cpu",
        sglang_version="0.5.10.post1",
        started_at=1.5,
        ready_at=31.25,
        log_path=str(directory / name / "server.log"),
        context_length=16384,
        gpu_indices=(0, 3),
    )


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    record = a_record(tmp_path)
    save_record(tmp_path, record)
    assert load_record(tmp_path, "one") == LoadedRecord(record)
    assert record.server_dir == tmp_path / "one"


def test_absent_values_come_back_as_none(tmp_path: Path) -> None:
    record = dataclasses.replace(a_record(tmp_path), ready_at=None, context_length=None, gpu_indices=())
    save_record(tmp_path, record)
    assert load_record(tmp_path, "one").record == record


def test_a_record_is_private_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    path = save_record(tmp_path, a_record(tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["record.json"]


def test_no_record_is_no_warning(tmp_path: Path) -> None:
    assert load_record(tmp_path, "one") == LoadedRecord(None)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff", '{"format": 1}', '{"format": 99}'])
def test_a_damaged_record_is_a_warning_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = save_record(tmp_path, a_record(tmp_path))
    path.write_bytes(text.encode("latin-1"))
    loaded = load_record(tmp_path, "one")
    assert loaded.record is None
    assert loaded.warning is not None and str(path) in loaded.warning


@pytest.mark.parametrize(
    ("field", "value"), [("pid", "4711"), ("port", True), ("state", "HAPPY"), ("gpu_indices", [0, "1"])]
)
def test_a_field_of_the_wrong_type_is_named(tmp_path: Path, field: str, value: object) -> None:
    path = save_record(tmp_path, a_record(tmp_path))
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    warning = load_record(tmp_path, "one").warning
    assert warning is not None and f"`{field}`" in warning


def test_the_list_is_in_order_and_holds_warnings_for_the_damaged(tmp_path: Path) -> None:
    for name in ("two", "one", "three"):
        save_record(tmp_path, a_record(tmp_path, name))
    (tmp_path / "three" / "record.json").write_text("{")
    (tmp_path / "empty").mkdir()
    listing = list_records(tmp_path)
    assert [record.name for record in listing.records] == ["one", "two"]
    assert len(listing.warnings) == 1
    assert list_records(tmp_path / "nothing").records == ()


def test_removing_a_record_keeps_the_log(tmp_path: Path) -> None:
    record = a_record(tmp_path)
    save_record(tmp_path, record)
    Path(record.log_path).write_text("a line\n")
    assert remove_record(tmp_path, "one")
    assert not remove_record(tmp_path, "one")
    assert load_record(tmp_path, "one") == LoadedRecord(None)
    assert Path(record.log_path).exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a b"])
def test_a_name_that_is_no_directory_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no name for a server"):
        load_record(tmp_path, name)


def test_a_process_is_known_by_its_pid_and_its_start(tmp_path: Path) -> None:
    own = announce_child(tmp_path)
    assert own.pid == os.getpid()
    assert announced_child(tmp_path) == own
    assert own.is_alive()
    assert not dataclasses.replace(own, create_time=own.create_time - 1).is_alive()
    assert not dataclasses.replace(own, boot_id="another boot").is_alive()
    assert ProcessIdentity.parse(str(own)) == own


def test_the_reason_for_a_gateway_is_told_until_the_next_child_begins(tmp_path: Path) -> None:
    assert announced_gateway(tmp_path) is None
    announce_child(tmp_path)
    announce_gateway(tmp_path, "SGLang lacks something")
    assert announced_gateway(tmp_path) == "SGLang lacks something"
    announce_child(tmp_path)
    assert announced_gateway(tmp_path) is None


@pytest.mark.parametrize("text", ["", "abc", "1", "1 2 3 4", "x 1.0"])
def test_a_damaged_announcement_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "child.pid").write_text(text)
    assert announced_child(tmp_path) is None


def test_an_announcement_that_cannot_be_read_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "child.pid").mkdir()
    assert announced_child(tmp_path) is None
