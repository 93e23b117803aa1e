"""OpenAI, and every server that speaks its Chat Completions (Ollama, vLLM, LiteLLM, OpenRouter, …).

OpenAI's own models go over Chat Completions too, not Responses: one road for both means that what is tested against a
compatible server holds for OpenAI, and no agent here uses what only Responses offers (stored state, hosted tools).
"""

from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from executor.egress_httpx import checked_client
from executor.providers.accounts import Account
from executor.providers.sdk_connection import SdkConnection

# What a server other than OpenAI is sure to understand: `max_tokens`, and the schema as it was written.
COMPATIBLE = OpenAIModelProfile(
    openai_chat_supports_max_completion_tokens=False,
    openai_supports_strict_tool_definition=False,
    json_schema_transformer=None,
)
OPENAI_HOST = "api.openai.com"


def connect(account: Account) -> SdkConnection:
    """A connection for the account, on the running loop. Opens nothing yet."""
    http_client = checked_client(private_hosts=[account.host] if account.allow_private else [], origin=account.url)
    # "" and not None: with None the SDK takes other credentials from its own environment variables.
    sdk = AsyncOpenAI(
        base_url=account.url, api_key=account.key, admin_api_key="", max_retries=0, http_client=http_client
    )
    sdk.organization = sdk.project = None
    sdk._custom_headers = {}  # noqa: SLF001 - headers from OPENAI_CUSTOM_HEADERS would reach every account's host
    provider = OpenAIProvider(openai_client=sdk)
    profile = None if account.host == OPENAI_HOST else COMPATIBLE
    return SdkConnection(account, http_client, lambda name: OpenAIChatModel(name, provider=provider, profile=profile))
