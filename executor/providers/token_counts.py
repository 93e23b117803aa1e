"""What an answer used, also where the provider does not say."""

from executor.providers.contract import ModelRequest, TokenUsage

BYTES_PER_TOKEN = 3
#: More than any call can use. What a provider says beyond it is no count, and no database would hold it.
MOST_TOKENS = 100_000_000


def usage_of(request: ModelRequest, text: str, tokens_in: int, tokens_out: int) -> TokenUsage:
    """The usage reported. A side that is missing, absurd, or zero where there was text, is counted from the bytes."""
    tokens_in, tokens_out = _believable(tokens_in), _believable(tokens_out)
    if tokens_in > 0 and tokens_out > 0:
        return TokenUsage(tokens_in, tokens_out)
    sent = request.system_prompt + "".join(message.text for message in request.messages)
    estimated = (tokens_in == 0 and bool(sent)) or (tokens_out == 0 and bool(text))
    return TokenUsage(tokens_in or _estimate(sent), tokens_out or _estimate(text), estimated=estimated)


def _believable(tokens: int) -> int:
    return tokens if 0 <= tokens <= MOST_TOKENS else 0


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)
