"""The designer: a canvas on which one design is drawn."""

from typing import Any
from uuid import UUID

from django.urls import reverse
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from access.pages import Page
from access.rights import RIGHTS
from designs.models import OrchestrationDesign, ProviderAccount
from designs.providers import models_for
from executor.json_types import JsonObject
from executor.patterns import PATTERNS
from executor.spec import AgentSettings

#: Of a team's accounts, so many models with a price of their own are proposed.
MAX_PROPOSED = 200


class DesignerPage(Page):
    """One design of the reader's team. The page itself reads the draft over the API, with its ETag."""

    template_name = "designs/designer.html"
    verbs = RIGHTS["design"]["retrieve"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        design = self.find(OrchestrationDesign.objects.defer("draft"), pk=kwargs["design_id"])
        return super().get_context_data(design=design, island=self._island(design.pk, design.team_id), **kwargs)

    def _island(self, design_id: UUID, team_id: int) -> dict[str, Any]:
        """What the canvas needs to know beside the draft."""
        registry = models_for(team_id)
        allowed = self.principal.verbs_in(team_id)
        return {
            "design_id": str(design_id),
            "list_url": reverse("designs"),
            "patterns": config_schemas(),
            "settings_schema": form_schema(AgentSettings),
            "default_model": registry.default_model,
            "models": _proposed_models(team_id, registry.default_model),
            "accounts": registry.account_names,
            "may": {verb: verb in allowed for verb in ("change", "execute", "deploy")},
        }


def config_schemas() -> JsonObject:
    """The JSON Schema of each pattern's config, by the pattern's name, in the order of the palette."""
    return {name: form_schema(pattern.config) for name, pattern in PATTERNS.items()}


def form_schema(model: type[BaseModel]) -> JsonObject:
    """The model's JSON Schema as a form wants it: titles only where somebody wrote one, none made of class names."""
    schema: JsonObject = model.model_json_schema(schema_generator=_PlainTitles)
    schema.pop("title", None)
    return schema


class _PlainTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _proposed_models(team_id: int, default_model: str) -> list[str]:
    """Full names of models: the default one, and those that the team has priced."""
    accounts = ProviderAccount.objects.filter(team_id=team_id).values_list("name", "prices")
    priced = [f"{name}:{model}" for name, prices in accounts for model in prices]
    return list(dict.fromkeys([default_model, *sorted(priced)[:MAX_PROPOSED]]))
