"""The addresses of the page on which a design is drawn, and of its parts. The list of designs tells where each is
deployed, and so is one of the pages of deployments.
"""

from django.urls import path

from designs.pages.designer import DesignerPage
from designs.pages.differences import DraftDifferences

urlpatterns = [
    path("designs/<uuid:design_id>", DesignerPage.as_view(), name="designer"),
    path(
        "designs/<uuid:design_id>/versions/<int:number>/differences",
        DraftDifferences.as_view(),
        name="draft-differences",
    ),
]
