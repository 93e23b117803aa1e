"""The addresses of the pages that show deployments and executions."""

from django.urls import path

from deployments.pages.alerts import AlertLog
from deployments.pages.calling import CallDialog
from deployments.pages.configuring import ConfigureDialog, VersionDifferences
from deployments.pages.deleting import DeleteDialog
from deployments.pages.deploying import DeployDialog
from deployments.pages.deployments import DeploymentCards, DeploymentsPage
from deployments.pages.designs import DesignsPage, SampleDocument
from deployments.pages.executing import ExecuteDialog
from deployments.pages.execution import ExecutionPage
from deployments.pages.history import HistoryDialog, HistoryPage
from deployments.pages.retention import RetentionPreview

urlpatterns = [
    path("", DeploymentsPage.as_view(), name="deployments"),
    path("deployments/cards", DeploymentCards.as_view(), name="deployment-cards"),
    path("deployments/new", DeployDialog.as_view(), name="deploy-dialog"),
    path("deployments/<uuid:pk>/configure", ConfigureDialog.as_view(), name="configure-dialog"),
    path("deployments/<uuid:pk>/alerts/<uuid:alert_id>/log", AlertLog.as_view(), name="alert-log"),
    path("deployments/<uuid:pk>/call", CallDialog.as_view(), name="call-dialog"),
    path("deployments/<uuid:pk>/delete", DeleteDialog.as_view(), name="delete-dialog"),
    path("deployments/<uuid:pk>/differences", VersionDifferences.as_view(), name="version-differences"),
    path("deployments/<uuid:pk>/retention", RetentionPreview.as_view(), name="retention-preview"),
    path("designs", DesignsPage.as_view(), name="designs"),
    path("designs/samples/<slug:sample>", SampleDocument.as_view(), name="sample-document"),
    path("deployments/<uuid:deployment_id>/execute", ExecuteDialog.as_view(), name="execute-dialog"),
    path("deployments/<uuid:deployment_id>/history", HistoryDialog.as_view(), name="history-dialog"),
    path("executions", HistoryPage.as_view(), name="executions"),
    path("executions/<uuid:execution_id>", ExecutionPage.as_view(), name="execution"),
]
