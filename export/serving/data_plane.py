"""kserve's data plane, with errors that say what was received and what to send."""

from collections.abc import Mapping
from typing import Any

import orjson
from kserve.errors import ModelNotFound
from kserve.protocol.dataplane import DataPlane

from keras_seq.errors import UserError

EXAMPLE = (
    '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["A fine film."]}]}'
)
FIELDS = {"name": str, "datatype": str, "shape": list}
KINDS = {str: "a string", list: "a list"}


class StrictDataPlane(DataPlane):
    """kserve's data plane; a request that cannot be read is the client's error."""

    def decode(self, body: bytes, headers: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the request, and the attributes of its envelope.

        Raises:
            UserError: If it isn't a request of the Open Inference Protocol.
        """
        try:
            return super().decode(body, headers, *args, **kwargs)
        except Exception as error:
            raise UserError(
                f"This isn't a request of the Open Inference Protocol: {_describe_fault(body)}. "
                f"Send such as {EXAMPLE}. Over HTTP, BYTES are UTF-8; gRPC takes any."
            ) from error

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


def _describe_fault(body: bytes) -> str:
    """Returns what is wrong with the JSON of a request."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"its JSON cannot be read: {error}"
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        return 'it has no list "inputs"'
    for i, tensor in enumerate(request["inputs"]):
        if not isinstance(tensor, dict):
            return f"inputs[{i}] is not an object"
        for field, kind in FIELDS.items():
            if not isinstance(tensor.get(field), kind):
                return f'inputs[{i}] has no "{field}", {KINDS[kind]}'
        if not isinstance(tensor.get("data", []), list):
            return f'inputs[{i}] has "data" that is no list'
    if not isinstance(request.get("outputs", []), list):
        return '"outputs" is not a list'
    return "a value in it has the wrong type or size"
