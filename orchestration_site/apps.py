"""The composition root, an app for its commands."""

from django.apps import AppConfig


class OrchestrationSiteConfig(AppConfig):
    name = "orchestration_site"
    verbose_name = "Site"
