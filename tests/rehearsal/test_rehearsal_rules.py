"""Scripts of one's own: what is wrong with them is said with file, rule and key."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sgcx.errors import UserError
from sgcx.rehearsal.playback import Script
from sgcx.rehearsal.rules import load_script

GOOD = '[[rule]]\nname = "a"\nmatch = "^(?P<x>.)"\n[[rule.step]]\nreasoning = "r"\ntext = "{{x|json}}"\n'


def script(directory: Path, text: str) -> Path:
    path = directory / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_is_read(tmp_path: Path) -> None:
    (rule,) = load_script(script(tmp_path, GOOD))
    assert rule.name == "a" and rule.steps[0].text == "{{x|json}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rule = 3", "`rule` must be an array of tables"),
        ("", "`rule` must have at least one entry"),
        ("[[rule", "is not valid TOML"),
        (GOOD.replace("match", "matches"), "rule[0]: `matches` is not known here"),
        (GOOD.replace("^(?P<x>.)", "("), "rule[0]: `match` is not a regular expression"),
        (GOOD.replace("{{x|json}}", "{{y}}"), "rule[0]: step[0]: `text` uses {{y}}"),
        (GOOD.replace("|json", "|yaml"), "uses the unknown filter 'yaml'"),
        (GOOD.replace('reasoning = "r"', ""), "step[0]: `reasoning` must be a string"),
        (GOOD.replace('text = "{{x|json}}"', ""), "step[0]: `text` is missing"),
        (GOOD + "delay_ms = -1\n", "step[0]: `delay_ms` must be a whole number"),
        (GOOD + "outcome = 'maybe'\n", 'step[0]: `outcome` must be "ok" or "failed"'),
        (GOOD + "[[rule.step.call]]\ntool = 't'\n", "call[0]: `arguments` is missing"),
        (GOOD + "[[rule.step.call]]\narguments = {}\n", "call[0]: `tool` must be a string"),
        (GOOD + "[[rule.step.call]]\nreplace = {file = 'a'}\n", "replace: `old` must be a string"),
        (GOOD + "[[rule.step.call]]\ntool = 't'\narguments = {c = ['{{z}}']}\n", "`arguments` uses {{z}}"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = script(tmp_path, text)
    with pytest.raises(UserError) as raised:
        load_script(path)
    assert said in raised.value.message and str(path) in raised.value.message


def test_a_missing_script_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load_script(tmp_path / "none.toml")


def test_a_script_changed_on_a_live_server_is_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = script(tmp_path, GOOD)
    live = Script(path)
    assert live.rules[0].name == "a"
    script(tmp_path, GOOD.replace('"a"', '"second"'))
    assert live.rules[0].name == "second"
    with caplog.at_level(logging.WARNING):
        script(tmp_path, "[[rule")
        assert live.rules[0].name == "second"
    assert "goes on with the rules it had" in caplog.text
    path.unlink()
    assert live.rules[0].name == "second"
