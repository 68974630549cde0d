"""The bench of the processor time per token runs. How long it takes is no question for a test."""

from __future__ import annotations

import per_token
import pytest


@pytest.mark.parametrize("stage", per_token.STAGES)
def test_every_stage_runs(stage, monkeypatch):
    monkeypatch.setattr(per_token, "PIECES", per_token.PIECES[:20])
    per_token.STAGES[stage]()
