"""The ground of our viewsets."""

from typing import TypeVar

from django.db.models import Model
from rest_framework.generics import get_object_or_404
from rest_framework.viewsets import GenericViewSet

ModelT = TypeVar("ModelT", bound=Model)


class ResourceViewSet(GenericViewSet[ModelT]):
    """One row is found among those of `get_queryset`, by its id alone: filters narrow lists, and nothing else."""

    def get_object(self) -> ModelT:
        """Raises the 404, and the 403 where the permissions refuse this row."""
        found = get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, found)
        return found
