"""The SDK's own parsers, of answers with a schema and of strict calls, over a real connection."""

from __future__ import annotations

import openai
from pydantic import BaseModel
from test_router import PlayedEngine, served

from sgcx.responses.deltas import Finished, TextDelta, ToolCallArguments, ToolCallFinished, ToolCallStarted

PAIRS = [TextDelta('{"city": "Be'), TextDelta('rn", "days": 3}'), Finished("stop")]
CALL = [ToolCallStarted("Forecast"), ToolCallArguments('{"city": "Bern", '), ToolCallArguments('"days": 3}')]


class Forecast(BaseModel):
    city: str
    days: int


def sdk(http):
    return openai.OpenAI(base_url=f"{http.base_url}/v1/", api_key="k", max_retries=0)


def test_an_answer_with_a_schema_is_parsed_whole_and_streamed():
    engine = PlayedEngine(PAIRS)
    with served(engine) as http, sdk(http) as client:
        whole = client.responses.parse(model="m", input="hi", text_format=Forecast)
        with client.responses.stream(model="m", input="hi", text_format=Forecast) as stream:
            streamed = stream.get_final_response()
    assert whole.output_parsed == streamed.output_parsed == Forecast(city="Bern", days=3)
    assert all(request.constraint.answer_schema["required"] == ["city", "days"] for request in engine.requests)


def test_a_strict_call_is_parsed_whole_and_streamed():
    engine = PlayedEngine([*CALL, ToolCallFinished(), Finished("stop")])
    tools = [openai.pydantic_function_tool(Forecast)]
    with served(engine) as http, sdk(http) as client:
        [whole] = client.responses.parse(model="m", input="hi", tools=tools).output
        with client.responses.stream(model="m", input="hi", tools=tools) as stream:
            [streamed] = stream.get_final_response().output
    assert whole.parsed_arguments == streamed.parsed_arguments == Forecast(city="Bern", days=3)
