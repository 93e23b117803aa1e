"""Anthropic's Messages API.

JSON is asked for as the arguments of a tool: that way the schema goes out as it was written, where the native format
drops every constraint it does not know.
"""

from anthropic import AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

from executor.egress_httpx import checked_client
from executor.providers.accounts import Account
from executor.providers.sdk_connection import SdkConnection


def connect(account: Account) -> SdkConnection:
    """A connection for the account, on the running loop. Opens nothing yet."""
    http_client = checked_client(private_hosts=[account.host] if account.allow_private else [], origin=account.url)
    sdk = AsyncAnthropic(base_url=account.url, api_key=account.key, max_retries=0, http_client=http_client)
    sdk._custom_headers = {}  # noqa: SLF001 - headers from ANTHROPIC_CUSTOM_HEADERS would reach every account's host
    provider = AnthropicProvider(anthropic_client=sdk)
    return SdkConnection(account, http_client, lambda name: AnthropicModel(name, provider=provider), structured="tool")
