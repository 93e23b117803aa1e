"""One account's connection to its provider on one event loop, through pydantic-ai's direct road and the SDKs.

This module and those of its kinds import pydantic-ai and the SDKs, about 50 MB; nothing imports them before the first
call of such an account (see `registry`).
"""

import json
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2
from pydantic_ai import messages as wire
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model as WireModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from executor.egress_httpx import watching_bodies
from executor.json_types import JsonObject
from executor.payload import size_of
from executor.providers.accounts import Account
from executor.providers.contract import ModelAnswer, ModelRequest, SizeSink, TextSink
from executor.providers.failures import declined, said_nothing
from executor.providers.schema_prompt import with_schema_in_prompt
from executor.providers.sdk_failures import describe_failure
from executor.providers.text import clean_json_text, clean_text
from executor.providers.token_counts import usage_of
from executor.providers.watched_sinks import WatchedSinks
from executor.spec import AgentSettings

StructuredMode = Literal["native", "tool"]

ANSWER = "answer"
TEXT_ONLY = ModelRequestParameters()


@dataclass
class SdkConnection:
    """Sends requests for one account. `structured` is how the kind prefers to be asked for JSON."""

    account: Account
    http_client: httpx2.AsyncClient
    build_model: Callable[[str], WireModel[Any]]
    structured: StructuredMode = "native"
    close_sdk: Callable[[], Awaitable[None]] | None = None
    _models: dict[str, WireModel[Any]] = field(default_factory=dict)

    async def ask(
        self, model: str, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        """Ask once. Raises `ModelCallError`, with nothing chained to it: the SDKs' errors hold the key."""
        sinks = WatchedSinks(on_text, on_size)
        failure: Exception
        try:
            async with watching_bodies(sinks.hold):
                return await self._ask(model, request, sinks)
        except Exception as error:
            if sinks.failure is error:
                raise
            failure = sinks.failure or describe_failure(error, self.account, model)
        raise failure

    async def aclose(self) -> None:
        if self.close_sdk is not None:
            await self.close_sdk()
        await self.http_client.aclose()

    async def _ask(self, model: str, request: ModelRequest, sinks: WatchedSinks) -> ModelAnswer:
        wire_model = self._models.get(model)
        if wire_model is None:
            wire_model = self._models[model] = self.build_model(model)
        parameters = _parameters(request.output_schema, wire_model, self.structured)
        if parameters is not None:
            try:
                return await _send(wire_model, request, parameters, sinks)
            except UserError:
                # The provider's dialect of JSON Schema cannot say this schema; nothing has been sent yet.
                pass
        return await _send(wire_model, with_schema_in_prompt(request), TEXT_ONLY, sinks)


async def _send(
    model: WireModel[Any], request: ModelRequest, parameters: ModelRequestParameters, sinks: WatchedSinks
) -> ModelAnswer:
    messages, settings = _wire_messages(request), _wire_settings(request.settings)
    if not sinks.streams:
        response = await model_request(
            model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
        )
    else:
        async with model_request_stream(
            model, messages, model_settings=settings, model_request_parameters=parameters, instrument=False
        ) as stream:
            await _pass_on(stream, sinks)
            response = stream.get()
    return _answer(request, response)


async def _pass_on(stream: AsyncIterable[wire.ModelResponseStreamEvent], sinks: WatchedSinks) -> None:
    held = 0
    async for event in stream:
        if isinstance(event, wire.PartStartEvent):
            piece, held = _text_of(event.part), held + _size_of(event.part)
        elif isinstance(event, wire.PartDeltaEvent):
            piece, held = _text_of_delta(event.delta), held + _size_of(event.delta)
        else:
            continue
        sinks.hold(held)
        if piece:
            sinks.take(piece)


def _size_of(part: wire.ModelResponsePart | wire.ModelResponsePartDelta) -> int:
    """What is kept of it until the answer is complete: what a model thinks, too."""
    return sum(size_of(value) for value in vars(part).values() if isinstance(value, str | dict))


def _text_of(part: wire.ModelResponsePart) -> str:
    if isinstance(part, wire.TextPart):
        return part.content
    if isinstance(part, wire.ToolCallPart) and part.args:
        return part.args if isinstance(part.args, str) else json.dumps(part.args, ensure_ascii=False)
    return ""


def _text_of_delta(delta: wire.ModelResponsePartDelta) -> str:
    if isinstance(delta, wire.TextPartDelta):
        return delta.content_delta
    if isinstance(delta, wire.ToolCallPartDelta) and isinstance(delta.args_delta, str):
        return delta.args_delta
    return ""


def _answer(request: ModelRequest, response: wire.ModelResponse) -> ModelAnswer:
    if not response.parts and not response.usage.has_values():
        # Some SDKs take any JSON, and a stream of no events at all, for an answer that happens to be empty.
        raise said_nothing()
    text = "".join(_text_of(part) for part in response.parts)
    if response.finish_reason == "content_filter" and not text:
        raise declined("content filter")
    text = clean_text(text) if request.output_schema is None else clean_json_text(text)
    usage = usage_of(request, text, response.usage.input_tokens, response.usage.output_tokens)
    return ModelAnswer(text, usage, truncated=response.finish_reason == "length")


def _wire_messages(request: ModelRequest) -> list[wire.ModelMessage]:
    system = [wire.SystemPromptPart(clean_text(request.system_prompt))] if request.system_prompt else []
    result: list[wire.ModelMessage] = []
    for message in request.messages:
        if message.role == "assistant":
            if system:
                result.append(wire.ModelRequest(parts=system))
            result.append(wire.ModelResponse(parts=[wire.TextPart(clean_text(message.text))]))
        else:
            result.append(wire.ModelRequest(parts=[*system, wire.UserPromptPart(clean_text(message.text))]))
        system = []
    return result


def _wire_settings(settings: AgentSettings) -> ModelSettings:
    wire_settings = ModelSettings(max_tokens=settings.max_output_tokens)
    if settings.temperature is not None:
        wire_settings["temperature"] = settings.temperature
    if settings.top_p is not None:
        wire_settings["top_p"] = settings.top_p
    return wire_settings


def _parameters(
    schema: JsonObject | None, model: WireModel[Any], structured: StructuredMode
) -> ModelRequestParameters | None:
    """How to ask for the schema; None when only the prompt can (providers take an object at the root and no less)."""
    if schema is None:
        return TEXT_ONLY
    if schema.get("type") != "object":
        return None
    if structured == "tool" and model.profile.get("supports_tools", True):
        tool = ToolDefinition(
            name=ANSWER, description="Gives the answer.", parameters_json_schema=schema, kind="output"
        )
        return ModelRequestParameters(output_mode="tool", output_tools=[tool], allow_text_output=False)
    if model.profile.get("supports_json_schema_output", False):
        output = OutputObjectDefinition(json_schema=schema, name=ANSWER)
        return ModelRequestParameters(output_mode="native", output_object=output)
    return None
