"""The address of the page on which a design is drawn. The list of designs tells where each is deployed, and so is one
of the pages of deployments.
"""

from django.urls import path

from designs.pages.designer import DesignerPage

urlpatterns = [
    path("designs/<uuid:design_id>", DesignerPage.as_view(), name="designer"),
]
