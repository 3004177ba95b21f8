"""kserve's data plane, whose errors name the models that there are."""

from collections.abc import Mapping
from typing import Any

from kserve.errors import ModelNotFound
from kserve.protocol.dataplane import DataPlane


class StrictDataPlane(DataPlane):
    """kserve's data plane; an unknown model's error names those that there are."""

    def get_model_from_registry(self, name: str) -> Any:
        """Returns a model.

        Raises:
            ModelNotFound: If there is none of this name; it names those that there are.
        """
        try:
            return super().get_model_from_registry(name)
        except ModelNotFound as error:
            error.reason = describe_unknown(name, self.model_registry)
            raise


def describe_unknown(name: str, repository: Any) -> str:
    """Returns what to say about a model that does not exist: the ones that do."""
    return (
        f"Model with name {name} does not exist. Here are: {', '.join(repository.bundles)}; and "
        "each of their signatures as BUNDLE.SIGNATURE: GET /v2/models"
    )


def find_by_class(table: Mapping[type, Any], error: Exception) -> Any:
    """Returns the entry of an error's class, or of the nearest class it is derived from."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
