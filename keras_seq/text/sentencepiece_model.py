"""SentencePiece's model file as a protocol buffer, with the fields that are used here.

(`sentencepiece.sentencepiece_model_pb2` works with one version of protobuf, and fails with those
that other packages ask for. Fields that are not named here are kept as they are.)
"""

from functools import cache
from typing import Any

from keras_seq.errors import UserError

UNIGRAM = 1  # TrainerSpec.ModelType
NORMAL, UNKNOWN_TYPE, CONTROL, BYTE = 1, 2, 3, 6  # SentencePiece.Type

# By message: name, number, type and default of each field, as in sentencepiece_model.proto.
MESSAGES = {
    "TrainerSpec": (("model_type", 3, "int32", "1"), ("byte_fallback", 35, "bool", "false")),
    "NormalizerSpec": (
        ("precompiled_charsmap", 2, "bytes", ""),
        ("add_dummy_prefix", 3, "bool", "true"),
        ("remove_extra_whitespaces", 4, "bool", "true"),
        ("escape_whitespaces", 5, "bool", "true"),
    ),
    "SentencePiece": (
        ("piece", 1, "string", ""),
        ("score", 2, "float", ""),
        ("type", 3, "int32", "1"),
    ),
}
PARTS = (
    ("pieces", 1, "SentencePiece"),
    ("trainer_spec", 2, "TrainerSpec"),
    ("normalizer_spec", 3, "NormalizerSpec"),
)


def parse_model(model: bytes) -> Any:
    """Parses a serialised model into a message.

    Raises:
        UserError: If it is none.
    """
    from google.protobuf.message import DecodeError

    try:
        return _message_class().FromString(model)
    except (DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"This is not a SentencePiece model: {error}") from error


@cache
def _message_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    package = "keras_seq.sentencepiece"
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_seq_sentencepiece.proto", package=package, syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, default in fields:
            added = message.field.add(
                name=field,
                number=number,
                type=getattr(kinds, f"TYPE_{kind.upper()}"),
                label=kinds.LABEL_OPTIONAL,
            )
            if default:
                added.default_value = default
    model = file.message_type.add(name="ModelProto")
    for field, number, kind in PARTS:
        model.field.add(
            name=field,
            number=number,
            type=kinds.TYPE_MESSAGE,
            type_name=f".{package}.{kind}",
            label=kinds.LABEL_REPEATED if field == "pieces" else kinds.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.ModelProto"))
