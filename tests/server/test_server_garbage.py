"""An SGLang that has moved what the freezing stands on starts all the same."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from sgcx.server.garbage import freeze_after_warm_up


@pytest.fixture
def http_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """SGLang's module of that name, without anything in it."""
    module = ModuleType("sglang.srt.entrypoints.http_server")
    entrypoints = ModuleType("sglang.srt.entrypoints")
    setattr(entrypoints, "http_server", module)  # noqa: B010
    for name in ("sglang", "sglang.srt"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, entrypoints.__name__, entrypoints)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module


def test_a_launch_that_takes_no_callback_gets_none(http_server: ModuleType) -> None:
    served: list[object] = []
    http_server.launch_server = served.append  # type: ignore[attr-defined]
    freeze_after_warm_up()
    http_server.launch_server("arguments")  # type: ignore[attr-defined]
    assert served == ["arguments"]


@pytest.mark.parametrize("manager", [SimpleNamespace(), SimpleNamespace(event_loop=None)], ids=["moved", "no warm-up"])
def test_the_warm_up_goes_on_where_nothing_can_be_frozen(http_server: ModuleType, manager: object) -> None:
    warmed_up: list[bool] = []

    def launch_server(_: object, launch_callback) -> None:  # type: ignore[no-untyped-def]
        def warm_up() -> None:
            launch_callback()
            warmed_up.append(True)

        thread = threading.Thread(target=warm_up)
        thread.start()
        thread.join()

    http_server.launch_server = launch_server  # type: ignore[attr-defined]
    http_server.get_global_state = lambda: SimpleNamespace(tokenizer_manager=manager)  # type: ignore[attr-defined]
    freeze_after_warm_up()
    http_server.launch_server("arguments")  # type: ignore[attr-defined]
    assert warmed_up == [True]
