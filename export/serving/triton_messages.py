"""Messages of Triton's gRPC service that kserve's copy of the protocol lacks.

They are built here, in a pool of their own: two libraries that define `inference.*` can't share a
process. Field numbers are those of Triton's grpc_service.proto.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

STRING, BOOL, MESSAGE = 9, 8, 11  # of FieldDescriptorProto.Type

# The fields of each message: number, name, type, whether there are many.
MESSAGES: dict[str, list[tuple[int, str, int | str, bool]]] = {
    "RepositoryIndexRequest": [(1, "repository_name", STRING, False), (2, "ready", BOOL, False)],
    "ModelIndex": [
        (1, "name", STRING, False),
        (2, "version", STRING, False),
        (3, "state", STRING, False),
        (4, "reason", STRING, False),
    ],
    "RepositoryIndexResponse": [(1, "models", "ModelIndex", True)],
    # kserve's clients give the name in the first field, Triton's in the second.
    "RepositoryModelRequest": [
        (1, "repository_name", STRING, False),
        (2, "model_name", STRING, False),
    ],
    "Empty": [],
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_seq/triton.proto", package="keras_seq.triton", syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind, is_repeated in fields:
            added = message.field.add(name=field, number=number, label=3 if is_repeated else 1)
            added.type = kind if isinstance(kind, int) else MESSAGE
            if isinstance(kind, str):
                added.type_name = f".keras_seq.triton.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"keras_seq.triton.{name}")
        )
        for name in MESSAGES
    }


CLASSES = _build()
