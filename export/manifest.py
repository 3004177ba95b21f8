"""The manifest of a bundle: what it may say, in one definition.

These classes check a manifest when it is written and wherever it is read; the reference page of the
documentation and the JSON Schema that the demo reads are made of them. Names have a grammar, so
that a name of a stranger's bundle is never a path, a command or an escape sequence.

msgspec and not pydantic: a device needs it to open a bundle, and it is one wheel of 0.2 MB without
dependencies where pydantic brings 10 MB in four.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from export import formats
from keras_seq.console import shorten
from keras_seq.errors import UserError
from keras_seq.signature import UNREAD, SignatureSpec, TensorSpec, text_lengths

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
PARITY = "parity.npz"
CARD = "README.md"

# What a manifest may have at most. Whoever opens one allocates what it says.
MAX_BYTES = 16 << 20
MAX_DEPTH = 24
MAX_INTEGER = (1 << 53) - 1  # JavaScript reads integers up to here.
MAX_SIZE = (1 << 31) - 1  # of a dimension; formats count in int32
MAX_TENSOR_BYTES = 1 << 31  # formats hold no larger one

# (?!\n): Python's $ also matches before a line break at the end.
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\n)"
WORD_PATTERN = r"^[a-z][a-z0-9_]{0,63}$(?!\n)"
FILE_PATTERN = (
    r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}){0,7}$(?!\n)"
)
HASH_PATTERN = r"^[0-9a-f]{64}$(?!\n)"
# How a message says them.
GRAMMAR = {
    NAME_PATTERN: "a name: a letter, then letters, digits and _, 200 at most",
    WORD_PATTERN: "a word: a small letter, then small letters, digits and _, 64 at most",
    FILE_PATTERN: "the path of a file in the bundle: letters, digits, and . _ + - inside a name",
    HASH_PATTERN: "a SHA-256 in 64 hexadecimal digits",
}

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Word = Annotated[str, Meta(pattern=WORD_PATTERN)]
File = Annotated[str, Meta(pattern=FILE_PATTERN)]
Text = Annotated[str, Meta(max_length=10_000)]
Size = Annotated[int, Meta(ge=1, le=MAX_SIZE)]
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Number = float  # An integer is one, too.
Format = Literal[formats.NAMES]
Dtype = Literal[
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16",
    "float32", "float64", "string",
]  # fmt: skip


def _about(kind: Any, description: str, **bounds: Any) -> Any:
    return Annotated[kind, Meta(description=description, **bounds)]


class Part(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A JSON object of a manifest; keys that it does not have are refused."""


class Tensor(Part):
    """An input or output of a signature."""

    name: _about(Name, "Name.")
    dtype: _about(Dtype, "NumPy's name of the dtype, or `string`.")
    shape: _about(
        list[Size | Name],
        "Sizes; a letter of `dimensions`, or another name, stands for one that the caller chooses. "
        "`B`, the batch, is the first if it is there.",
        max_length=16,
    )
    minimum: _about(Number | UnsetType, "Smallest value of an input.") = UNSET
    maximum: _about(
        Number | Name | UnsetType,
        "Largest value of an input, or the letter whose size it is: `limits[dimensions[letter]]`.",
    ) = UNSET
    default: _about(
        Number | Annotated[str, Meta(max_length=200)] | UnsetType,
        "Value of an input that may be left out: a number, which all values of an array are; a "
        'letter, as in `maximum`; `"random"` for random numbers in [0, 1); `""` for empty strings.',
    ) = UNSET
    truncation_side: _about(
        Literal["left", "right"] | UnsetType,
        "Side on which a text that is too long is cut; without it, the end is.",
    ) = UNSET


class Signature(Part):
    """A named function."""

    inputs: _about(list[Tensor], "Its inputs.", max_length=1000)
    outputs: _about(list[Tensor], "Its outputs.", max_length=1000)
    formats: _about(
        Annotated[list[Format], Meta(min_length=1)] | UnsetType,
        "The formats that have it, where not all do.",
    ) = UNSET


class Entry(Part):
    """The signatures that servers and apps call first."""

    signature: _about(
        Name, "The main signature: what the bundle's own name stands for on a server."
    )
    interactive: _about(
        list[Name],
        "The signatures that an app with live results calls, first call first.",
        min_length=1,
        max_length=100,
    )
    defaults: _about(dict[Name, Number], "Values by input name that a user interface starts with.")


class Variant(Part):
    """A format in a precision."""

    format: _about(Format, "Name of the format.")
    precision: _about(Word, "Precision of the weights.")
    files: _about(
        list[File],
        "Its files, all of which are in `files` and in the format's folder.",
        min_length=1,
        max_length=10_000,
    )
    sizes: _about(dict[Name, Size], "Sizes that are fixed in them, by letter.")
    bytes: _about(Count, "Bytes of these files together.")


class Figures(Part):
    """How a signature compared with Keras."""

    inputs: _about(Count, "Rows compared.")
    largest_difference: _about(Number, "Largest absolute difference of all float outputs.", ge=0)
    agreement: _about(Number, "Share of rows, or of generated tokens, with the same answer.", ge=0)
    within_tolerance: _about(bool, "Whether the runtime computes what Keras computes.")
    latency_ms: _about(Number, "Milliseconds of a call with the longest input on one thread.", ge=0)


class VariantParity(Part):
    """How a variant compared with Keras."""

    format: _about(Format, "Name of the format.")
    precision: _about(Word, "Precision of the weights.")
    signatures: _about(dict[Name, Figures], "Figures by signature.")


class Parity(Part):
    """How all variants compared with Keras when the bundle was written."""

    inputs: _about(Text, "What they were compared on, in words.")
    tolerance: _about(Number, "Largest difference allowed.", ge=0)
    variants: _about(list[VariantParity], "Figures of each variant.", max_length=100)


class FileRecord(Part):
    """What a file must be."""

    sha256: _about(str, "SHA-256 of its content.", pattern=HASH_PATTERN)
    bytes: _about(Count, "Its size.")


class Manifest(Part):
    """The whole of `manifest.json`."""

    schema_version: _about(Literal[2], "Version of this schema.")
    task: _about(Word, "Name of the task.")
    backbone: _about(Text, "Kind of the model.")
    parameters: _about(Count, "Number of its parameters.")
    labels: _about(list[Text], "Names of the classes; empty for other tasks.", max_length=1_000_000)
    entry: _about(Entry, "The signatures that servers and apps call first.")
    limits: _about(dict[Name, Size], "The largest sizes, by name.")
    dimensions: _about(
        dict[Name, Name],
        "The limit that bounds each letter in the shapes. `B`, the batch, has none.",
    )
    signatures: _about(dict[Name, Signature], "Inputs and outputs by signature.", min_length=1)
    variants: _about(
        list[Variant], "One entry for each format and precision.", min_length=1, max_length=100
    )
    files: _about(
        dict[File, FileRecord], "Hash and size of every file except the manifest.", min_length=1
    )
    sha256: _about(
        str,
        "Hash of the rest of the manifest: of its JSON with sorted keys and without this key.",
        pattern=HASH_PATTERN,
    )
    tokenizer: _about(
        Literal["tokenizer.json"] | None, "File of the tokenizer; null if there is none."
    ) = None
    tokenizer_bytes: _about(Count, "Bytes of its tables in each file that reads texts.") = 0
    created_with: _about(dict[Text, Text], "Versions of the packages that wrote it.") = {}
    metrics: _about(dict[Text, Any], "Results on held-out data.") = {}
    trained_on: _about(
        dict[Text, Text], "`data`, the name of the training data, and its `licence`."
    ) = {}
    parity: _about(Parity | UnsetType, "How each signature of a variant compared with Keras.") = (
        UNSET
    )
    name: _about(Text | UnsetType, "Name of a Keras model.") = UNSET
    vocabulary_size: _about(Count | UnsetType, "Number of token ids.") = UNSET
    hidden_dim: _about(Count | UnsetType, "Width of the backbone.") = UNSET
    bidirectional: _about(bool | UnsetType, "Whether a classifier reads both ways.") = UNSET
    languages: _about(
        Annotated[list[Text], Meta(max_length=2)] | UnsetType,
        "Languages that a translator reads and writes.",
    ) = UNSET


OPTIONAL = {
    field.encode_name: field.default
    if field.default is not msgspec.NODEFAULT
    else field.default_factory()
    for field in msgspec.structs.fields(Manifest)
    if not field.required and field.default is not UNSET
}


class ManifestError(UserError):
    """A manifest says what none may say."""


def parse_manifest(content: bytes) -> Any:
    """Returns the JSON value of a manifest's bytes.

    Raises:
        ManifestError: If it is no JSON, nested too deeply, or has a number that is too large.
    """
    try:
        value = msgspec.json.decode(content)
        _require_plain(value)
    except RecursionError:
        raise ManifestError(f"it is nested more than {MAX_DEPTH} levels deep") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise ManifestError(str(error)) from error
    return value


def _require_plain(value: Any) -> None:
    """Refuses what other readers of JSON read otherwise: deep nesting, and huge integers."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if any(type(part) is int and abs(part) > MAX_INTEGER for part in level):
            raise ManifestError(f"it has an integer above {MAX_INTEGER}")
        if any(type(part) is float and abs(part) == float("inf") for part in level):
            raise ManifestError("it has a number that is not finite")
        level = [part for parent in level for part in _iter_parts(parent)]
        if not level:
            return
    raise ManifestError(f"it is nested more than {MAX_DEPTH} levels deep")


def _iter_parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Checks a manifest of the current schema: its form, and that its parts fit together.

    Raises:
        ManifestError: Naming the place and what is wrong there.
    """
    require_form(manifest, Manifest)
    for name, signature in manifest["signatures"].items():
        _check_signature(name, signature, manifest)
    _check_sizes(manifest)
    _check_entry(manifest)
    _check_variants(manifest)
    _check_parity(manifest)


def require_form(value: Any, kind: Any) -> None:
    """Checks a JSON value against one of the classes above.

    Raises:
        ManifestError: Naming the place and what is wrong there.
    """
    try:
        msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ManifestError(_describe(str(error), value, kind)) from error


# What msgspec says: what is wrong, and where.
_FAULT = re.compile(r"(?s)(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`)?")


def _describe(message: str, value: Any, kind: Any) -> str:
    """Returns msgspec's message with our words for patterns, and the key instead of `[...]`."""
    for pattern, words in GRAMMAR.items():
        message = message.replace(f"`str` matching regex {pattern!r}", words)
    fault = _FAULT.fullmatch(message)
    # An unknown field is quoted as it is.
    what = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in fault["what"])
    what, place = shorten(what.replace("`", ""), 200), fault["place"]
    if not place:
        return what
    field, dots, rest = place.partition("[...]")
    part = value.get(field) if isinstance(value, dict) else None
    if (dots or fault["key"]) and isinstance(part, dict):
        types = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
        wrong = (key for key, item in part.items() if not _is_form({key: item}, types[field]))
        place = f"{field}[{ascii(next(wrong, '...'))[:80]}]{rest}"
    return f"{what} at {place}" + (" (its key)" if fault["key"] else "")


def _is_form(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _check_signature(name: str, signature: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    place = f"signatures.{name}"
    letters = manifest["dimensions"]
    for kind in ("inputs", "outputs"):
        names = [tensor["name"] for tensor in signature[kind]]
        _require(len(set(names)) == len(names), f"{place}.{kind}", "two have the same name")
        for i, tensor in enumerate(signature[kind]):
            _check_tensor(f"{place}.{kind}[{i}] ({tensor['name']})", tensor, letters)
    specs = [TensorSpec.from_json(tensor) for tensor in signature["inputs"]]
    _require(bool(signature["outputs"]), f"{place}.outputs", "there is none")
    _require(
        not any("B" in tensor["shape"] for tensor in signature["inputs"])
        or all(tensor["shape"][:1] == ["B"] for tensor in signature["outputs"]),
        f"{place}.outputs",
        "an output does not begin with B, the batch of the inputs",
    )
    lengths = text_lengths(specs)
    tensors = {spec.name: spec for spec in specs}
    for text, length in lengths.items():
        fits = len(tensors[text].shape) == 2 and len(tensors[length].shape) == 1
        _require(fits, f"{place}.inputs", f"{text} with {length} is a text, uint8 [B, L] and [B]")
    for tensor in signature["outputs"]:
        if tensor["name"] == UNREAD.name:
            unread = tensor["dtype"] == UNREAD.dtype and tensor["shape"] == list(UNREAD.shape)
            _require(unread or not lengths, f"{place}.outputs", f"{UNREAD.name} is int32 [B]")


def _check_tensor(place: str, tensor: Mapping[str, Any], letters: Mapping[str, str]) -> None:
    shape, dtype, default = tensor["shape"], tensor["dtype"], tensor.get("default")
    _require("B" not in shape[1:], place, "B, the batch, is the first dimension")
    maximum = tensor.get("maximum")
    _require(
        not isinstance(maximum, str) or maximum in letters,
        place,
        f"the maximum {maximum!r} is not in dimensions",
    )
    if dtype == "string":
        _require(default in (None, ""), place, 'the default of strings is ""')
        _require(len(shape) == 1, place, "strings have one dimension")
        _require(maximum is None and "minimum" not in tensor, place, "strings have no range")
    elif default == "random":
        fits = dtype == "float32" and len(shape) == 2 and shape[1] in letters
        _require(fits, place, "random numbers are float32 [B, N] with N in dimensions")
    elif isinstance(default, str):
        _require(default in letters, place, f"the default {default!r} is not in dimensions")
    elif default is not None:
        fits = _fits(default, dtype)
        _require(fits, place, f"the default {default} is not {dtype}")


def _fits(value: float, dtype: str) -> bool:
    if dtype.startswith("float"):
        return True
    signed, bits = dtype.startswith("int"), int(re.sub(r"\D", "", dtype) or 1)
    least = -(1 << bits - 1) if signed else 0
    most = (1 << bits - signed) - 1
    return value == int(value) and least <= value <= most


def _check_sizes(manifest: Mapping[str, Any]) -> None:
    """Bounds what is allocated for the inputs and outputs of a row."""
    limits, letters = manifest["limits"], manifest["dimensions"]
    _require("B" not in letters, "dimensions", "B, the batch, has no limit")
    for letter, limit in letters.items():
        _require(limit in limits, f"dimensions.{letter}", f"{limit} is not in limits")
    largest = {letter: limits[limit] for letter, limit in letters.items()}
    fixed = [variant["sizes"] for variant in manifest["variants"]]
    for name, signature in manifest["signatures"].items():
        for tensor in (*signature["inputs"], *signature["outputs"]):
            width = 1 if tensor["dtype"] in ("string", "bool") else _width(tensor["dtype"])
            for sizes in ({}, *fixed):
                known = {**largest, **sizes}
                size = width
                for part in tensor["shape"]:
                    size *= part if isinstance(part, int) else known.get(part, 1)
                _require(
                    size <= MAX_TENSOR_BYTES,
                    f"signatures.{name}",
                    f"{tensor['name']} would take {size:,} bytes, and {MAX_TENSOR_BYTES:,} are the "
                    "most",
                )


def _width(dtype: str) -> int:
    return int(re.sub(r"\D", "", dtype)) // 8


def _check_entry(manifest: Mapping[str, Any]) -> None:
    entry, signatures = manifest["entry"], manifest["signatures"]
    for name in (entry["signature"], *entry["interactive"]):
        _require(name in signatures, "entry", f"{name} is not in signatures")
        everywhere = "formats" not in signatures[name]
        _require(everywhere, "entry", f"{name} is not in every format")
    unique = len(set(entry["interactive"])) == len(entry["interactive"])
    _require(unique, "entry.interactive", "a signature is named twice")


def list_signatures(manifest: Mapping[str, Any], format: str) -> dict[str, Any]:
    """Returns the signatures that a format of a bundle has."""
    return {
        name: signature
        for name, signature in manifest["signatures"].items()
        if format in signature.get("formats", [format])
    }


def _check_variants(manifest: Mapping[str, Any]) -> None:
    files, known = manifest["files"], set()
    tokenizer = manifest.get("tokenizer")
    _require(tokenizer is None or tokenizer in files, "tokenizer", f"{tokenizer} is not in files")
    _require(MANIFEST not in files, "files", f"{MANIFEST} cannot hold its own hash")
    for i, variant in enumerate(manifest["variants"]):
        format, precision = variant["format"], variant["precision"]
        place = f"variants[{i}]"
        _require((format, precision) not in known, place, f"{format} {precision} is there twice")
        known.add((format, precision))
        _require("B" not in manifest["limits"], "limits", "B, the batch, has none")
        module = formats.module(format)
        for name in variant["files"]:
            _require(name in files, f"{place}.files", f"{name} is not in files, with its hash")
            inside = name.startswith(f"{module.FOLDER}/")
            _require(inside, f"{place}.files", f"{name} is not in the folder {module.FOLDER}")
        _require(
            len(set(variant["files"])) == len(variant["files"]),
            f"{place}.files",
            "a file is named twice",
        )
        for letter, size in variant["sizes"].items():
            limit = manifest["limits"].get(manifest["dimensions"].get(letter), MAX_SIZE)
            _require(size <= limit, f"{place}.sizes.{letter}", f"{size} is above its limit {limit}")
        signatures = list_signatures(manifest, format)
        _require(bool(signatures), place, f"no signature is in {format}")
        for name in module.name_files(signatures, precision):
            _require(name in variant["files"], f"{place}.files", f"{name} is missing")
        size = sum(files[name]["bytes"] for name in variant["files"])
        _require(size == variant["bytes"], f"{place}.bytes", f"its files have {size:,}")


def _check_parity(manifest: Mapping[str, Any]) -> None:
    variants = {(v["format"], v["precision"]) for v in manifest["variants"]}
    for i, variant in enumerate(manifest.get("parity", {}).get("variants", ())):
        place = f"parity.variants[{i}]"
        known = (variant["format"], variant["precision"]) in variants
        _require(known, place, f"{variant['format']} {variant['precision']} is not in variants")
        for name in variant["signatures"]:
            _require(name in manifest["signatures"], place, f"{name} is not in signatures")


def _require(condition: bool, place: str, what: str) -> None:
    if not condition:
        raise ManifestError(f"{what} at {place}")


def read_specs(manifest: Mapping[str, Any], format: str | None = None) -> dict[str, SignatureSpec]:
    """Returns the signatures of a manifest, or of one format of it, by name."""
    signatures = manifest["signatures"] if format is None else list_signatures(manifest, format)
    return {name: SignatureSpec.from_json(name, value) for name, value in signatures.items()}


def make_json_schema() -> dict[str, Any]:
    """Returns the form of a manifest as a JSON Schema."""
    schema = msgspec.json.schema(Manifest)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
