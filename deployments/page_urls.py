"""The addresses of the pages that show deployments and executions."""

from django.urls import path

from deployments.pages.deployments import DeploymentsPage

urlpatterns = [
    path("", DeploymentsPage.as_view(), name="deployments"),
]
