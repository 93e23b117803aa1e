"""The composition root, an app for its commands."""

from django.apps import AppConfig

from orchestration_site import checks
from orchestration_site.celery import app


class OrchestrationSiteConfig(AppConfig):
    name = "orchestration_site"
    verbose_name = "Site"
    #: Loaded with the apps, so that whatever process publishes does it through our broker.
    celery = app
    #: Loaded with the apps, as is what Django is to check.
    checks = checks
