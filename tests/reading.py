"""What a dialect's reader makes of raw text, in a form that tests can compare."""

from __future__ import annotations

from sgcx.responses.deltas import ReasoningDelta, TextDelta, ToolCallArguments, ToolCallFinished, ToolCallStarted


def read_all(reader, pieces):
    """Deltas with neighbouring pieces of one kind joined: ("r"|"t"|"a", text), ("call", name), ("end",)."""
    deltas = [delta for piece in pieces for delta in reader.feed(piece)] + reader.finish()
    joined = []
    for delta in deltas:
        match delta:
            case ReasoningDelta(text):
                kind = "r"
            case TextDelta(text):
                kind = "t"
            case ToolCallArguments(text):
                kind = "a"
            case ToolCallStarted(name):
                joined.append(("call", name))
                continue
            case ToolCallFinished():
                joined.append(("end",))
                continue
        if joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    return joined
