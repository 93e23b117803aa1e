"""`offline:demo`: a model that needs no key and no network, and says what it is.

It understands nothing. It takes sentences out of the input, counts words and fills schemas by the names of their
fields, always the same for the same prompt, so that a design can be tried and shown before an account exists.
"""

import asyncio
import json

from executor.providers.contract import ModelAnswer, ModelRequest, SizeSink, TextSink, TokenUsage
from executor.providers.offline.json_answer import Composer
from executor.providers.offline.prompt import read_prompt
from executor.providers.offline.prose import write_text
from executor.providers.text import clean_text

BYTES_PER_TOKEN = 3
PIECE = 24


class OfflineModel:
    """The demonstration model, under whichever name a design asks for it. It holds no state."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def complete(
        self, request: ModelRequest, on_text: TextSink | None = None, on_size: SizeSink | None = None
    ) -> ModelAnswer:
        brief = read_prompt(request)
        if request.output_schema is None:
            text = write_text(brief)
        else:
            text = json.dumps(Composer(brief, request.output_schema).compose(), ensure_ascii=False)
        text, truncated = _cut(clean_text(text), request.settings.max_output_tokens)
        if on_size is not None:
            on_size(len(text.encode()))
        if on_text is not None:
            for start in range(0, len(text), PIECE):
                on_text(text[start : start + PIECE])
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return ModelAnswer(text, _usage(request, text), truncated)


def _cut(text: str, max_tokens: int) -> tuple[str, bool]:
    longest = max_tokens * BYTES_PER_TOKEN
    encoded = text.encode()
    if len(encoded) <= longest:
        return text, False
    return encoded[:longest].decode(errors="ignore"), True


def _usage(request: ModelRequest, text: str) -> TokenUsage:
    sent = len(request.system_prompt.encode("utf-8", "replace"))
    sent += sum(len(message.text.encode("utf-8", "replace")) for message in request.messages)
    return TokenUsage(-(-sent // BYTES_PER_TOKEN), -(-len(text.encode()) // BYTES_PER_TOKEN), estimated=True)
