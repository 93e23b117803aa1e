"""The panel that shows how an endpoint is called."""

from typing import Any, Final

from access.rights import RIGHTS
from deployments.api.describing import KEY_PLACES, calls_of
from deployments.api.example_inputs import example_input
from deployments.models.deployment import DeploymentQuerySet
from deployments.pages.one import DeploymentPage

LANGUAGES: Final = (("curl", "curl"), ("python", "Python"), ("javascript", "JavaScript"))


class CallDialog(DeploymentPage):
    """The call in three languages; a key is made over the API, and put in by the page, which alone has it."""

    template_name = "deployments/call_dialog.html"
    verbs = RIGHTS["deployment"]["describe"]

    def get_queryset(self) -> DeploymentQuerySet:
        return super().get_queryset().select_related("version")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        example = example_input(self.deployment.version.document.get("input_schema"))
        url = self.request.build_absolute_uri(self.deployment.endpoint_path)
        calls = calls_of(url, example)
        languages = [
            {"id": name, "title": title, "call": calls[name], "key_place": KEY_PLACES[name]}
            for name, title in LANGUAGES
        ]
        return super().get_context_data(languages=languages, url=url, is_new="deployed" in self.request.GET, **kwargs)
