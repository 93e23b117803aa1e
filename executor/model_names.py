"""Whether the models that a design names can be used."""

from collections.abc import Iterator
from functools import cache

from executor.budget import Limits
from executor.errors import Problem
from executor.providers.contract import ModelProvider
from executor.spec import Agent, Design


def check_models(design: Design, models: ModelProvider, limits: Limits) -> Iterator[Problem]:
    """Accounts that do not exist, fallbacks and the default model included; under a money ceiling, unknown prices."""

    @cache
    def problem_with(name: str) -> tuple[str, str] | None:
        if (sentence := models.problem_with(name)) is not None:
            return "unknown_model", sentence
        if limits.max_cost is not None and models.price(name) is None:
            message = f"The price of {name} is not known, so the limit on the cost could not be kept."
            return "unpriced_model", f"{message} Set its price, choose another model, or lift the limit."
        return None

    for number, block in enumerate(design.blocks):
        for index, agent in enumerate(block.agents):
            for place, name in _models_of(agent, models.default_model):
                if (found := problem_with(name)) is not None:
                    yield Problem(f"/blocks/{number}/data/agents/{index}{place}", *found)


def named_models(design: Design, default_model: str) -> frozenset[str]:
    """The names of all models that the design may ask, fallbacks and the default model included."""
    agents = (agent for block in design.blocks for agent in block.agents)
    return frozenset(name for agent in agents for _, name in _models_of(agent, default_model))


def _models_of(agent: Agent, default_model: str) -> Iterator[tuple[str, str]]:
    yield "/model", agent.model or default_model
    for index, name in enumerate(agent.settings.fallbacks):
        yield f"/settings/fallbacks/{index}", name
