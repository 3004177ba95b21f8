"""Bundles that someone has damaged or forged, and what opens them.

    python -m benchmarks.mutated_bundles BUNDLE --count 10000

Each example is a copy of a bundle with a change: a part of the manifest that is missing, of another
type, too large or too deep, with a hash that is right again; flipped and cut bytes; pipes, links
and archives in the place of files. `export.load`, `check`, `inspect`, `serve` (until the bundle is
open) and `deploy` refuse each in one sentence, or open it and answer.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from export import bundle, runtime
from export.cli import COMMANDS
from keras_seq.console import CONTROLS
from keras_seq.errors import UserError, speak_command_line

SLOW_SECONDS = 20.0  # of the processor, so that a busy machine changes nothing

# What takes the place of a part of a manifest.
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 1.5, 1e300, 10**18, 2**31, 2**31 - 1, 10**400, float("nan"), float("inf"),
    "", "B", "random", "T", "../../etc/passwd", "/etc/passwd", "a\x00b", "\x1b]0;title\x07",
    "\x1b[2J", "\u202eabc", "x" * 20_000, "name\n", "con fig", "__class__", [], {}, [None],
    {"a": 1}, [["B"]] * 3, ["../x"], {"../x": {"sha256": "0" * 64, "bytes": 1}},
)  # fmt: skip


@dataclass
class Outcome:
    """What came of mutated bundles.

    Attributes:
        refused: Examples that were refused in a sentence, by what opened them.
        right: Examples that were opened, likewise.
        faults: What must not be, each in a few lines.
    """

    refused: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def attack(
    source: Path,
    count: int,
    seed: int,
    scratch: Path,
    openers: "dict[str, Callable[[Path, Path], None]] | None" = None,
) -> Outcome:
    """Mutates a bundle `count` times and opens each copy in every way.

    Args:
        source: A whole bundle; it is not changed.
        count: Number of examples.
        seed: Seed of the mutations.
        scratch: Folder for the copies.
        openers: What opens them; `OPENERS` if None.
    """
    outcome = Outcome()
    for number in range(count):
        generator = random.Random(f"{seed}/{number}")
        folder = scratch / "mutated"
        # Links: a mutation replaces a file and never writes into one.
        shutil.copytree(source, folder, copy_function=os.link)
        try:
            what = mutate(folder, generator)
            for name, opener in (openers or OPENERS).items():
                _attempt(outcome, f"{seed}/{number}: {what}", name, opener, folder, scratch)
        finally:
            shutil.rmtree(folder)
    return outcome


def _attempt(
    outcome: Outcome,
    what: str,
    name: str,
    opener: Callable[[Path, Path], None],
    folder: Path,
    scratch: Path,
) -> None:
    printed, start = io.StringIO(), time.process_time()
    output = Path(tempfile.mkdtemp(dir=scratch)) / "output"
    message = ""
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            speak_command_line(),
        ):
            opener(folder, output)
        outcome.right[name] += 1
    except UserError as error:
        outcome.refused[name] += 1
        message = str(error)
        if not message or "\n" in message or CONTROLS.search(message):
            outcome.faults.append(f"{what}: {name} says {message!r}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        outcome.faults.append(f"{what}: {name} raises {type(error).__name__}: {error}"[:1000])
    finally:
        shutil.rmtree(output.parent)
    if CONTROLS.search(printed.getvalue()):
        outcome.faults.append(f"{what}: {name} prints {CONTROLS.findall(printed.getvalue())}")
    seconds = time.process_time() - start
    if seconds > SLOW_SECONDS:
        outcome.faults.append(f"{what}: {name} took {seconds:.0f} s")


# What opens a bundle.


def _load(folder: Path, _: Path) -> None:
    """Opens each format and runs the main signature on two rows."""
    manifest = bundle.read_manifest(folder)
    for format in ("tflite", "onnx"):
        if bundle.find_variant(manifest, format, "float32") is None:
            continue
        loaded = runtime.load(folder, format, 1)
        loaded.open_all()
        spec = loaded.signatures[manifest["entry"]["signature"]]
        rows = ["A fine film.", "b"]
        with contextlib.redirect_stderr(io.StringIO()):
            outputs = loaded.run(spec.name, **{name: rows for name in spec.texts})
        for tensor in spec.outputs:
            array = outputs[tensor.name]
            assert array.ndim == len(tensor.shape), (tensor, array.shape)
            assert tensor.shape[:1] != ("B",) or len(array) == 2, (tensor, array.shape)
        if manifest["tokenizer"]:
            loaded.tokenize(["A fine film."])


def _serve(folder: Path, output: Path) -> None:
    """Opens a bundle as the server does."""
    from export.serving.repository import Repository
    from export.serving.settings import Settings

    output.mkdir()
    repository = Repository({"mutated": folder}, Settings(workers=1, cache_dir=output))
    for model in repository.models.values():
        json.dumps([model.get_input_types(), model.get_output_types()])
        json.dumps([model.bundle.main, model.bundle.parts, model.describe_parameters()])
    assert not any(output.iterdir()), "a copy is left"


def _command(name: str, *options: str) -> Callable[[Path, Path], None]:
    def run(folder: Path, output: Path) -> None:
        given = [word.replace("OUTPUT", str(output)) for word in options]
        command = COMMANDS[name]
        status = command.run(command.make_parser().parse_args([str(folder), *given]))
        assert not status, status

    return run


OPENERS: dict[str, Callable[[Path, Path], None]] = {
    "load": _load,
    "check": _command("check"),
    "inspect": _command("inspect"),
    "serve": _serve,
    "deploy kserve": _command("deploy", "--target", "kserve", "--name", "a", "--output", "OUTPUT"),
}
# In a process of its own: the client's and kserve's messages of the protocol have the same names.
TRITON: dict[str, Callable[[Path, Path], None]] = {
    "deploy triton": _command("deploy", "--target", "triton", "--name", "a", "--output", "OUTPUT"),
}


# Mutations.


def mutate(folder: Path, generator: random.Random) -> str:
    """Changes one thing of the bundle in `folder`; returns what."""
    (mutation,) = generator.choices(list(MUTATIONS), list(MUTATIONS.values()))
    return f"{mutation.__name__.strip('_')} {mutation(folder, generator)}"


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _pick_file(folder: Path, generator: random.Random) -> Path:
    return generator.choice(sorted(path for path in folder.rglob("*") if path.is_file()))


def _flip(folder: Path, generator: random.Random) -> str:
    path = _pick_file(folder, generator)
    content = bytearray(path.read_bytes())
    for _ in range(generator.choice((1, 1, 3, 50))):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    _replace(path, bytes(content))
    return path.name


def _cut(folder: Path, generator: random.Random) -> str:
    path = _pick_file(folder, generator)
    content = path.read_bytes()
    _replace(path, content[: generator.randrange(len(content))])
    return path.name


def _swap_kind(folder: Path, generator: random.Random) -> str:
    """Puts a pipe, a link, a folder or nothing in the place of a file."""
    path = _pick_file(folder, generator)
    kind = generator.choice(("pipe", "link", "circle", "device", "folder", "nothing"))
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/etc/hostname")
        case "circle":
            path.symlink_to(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    return f"{path.name} is a {kind}"


def _forge_file(folder: Path, generator: random.Random) -> str:
    """Writes another tokenizer or reference, and its right hash into the manifest."""
    names = [name for name in (bundle.TOKENIZER, bundle.PARITY) if (folder / name).exists()]
    path = folder / generator.choice(names)
    make = generator.choice(FORGERIES if path.name == bundle.PARITY else TEXTS)
    content = make(path.read_bytes(), generator)
    _replace(path, content)
    rehash(folder)
    return f"{path.name} {make.__name__.strip('_')}"


def _flipped(content: bytes, generator: random.Random) -> bytes:
    content = bytearray(content)
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    return bytes(content)


def _cut_short(content: bytes, generator: random.Random) -> bytes:
    return content[: generator.randrange(len(content))]


def _deep(*_: Any) -> bytes:
    return b"[" * 100_000 + b"]" * 100_000


def _npz(arrays: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)
    return file.getvalue()


def _bomb(*_: Any) -> bytes:
    """An array that its header says is of terabytes."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"
    header = header.ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    return _npz({"classify/inputs/token_ids.npy": array})


def _pickled(*_: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return _npz({"classify/inputs/token_ids.npy": file.getvalue()})


def _other_arrays(content: bytes, generator: random.Random) -> bytes:
    """Leaves an array out, or gives it another shape, dtype or name."""
    with np.load(io.BytesIO(content)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = generator.choice(sorted(arrays))
    array = arrays.pop(name)
    changed = {
        "shape": array.reshape(-1),
        "rows": array[:-1],
        "none": array[:0],
        "dtype": array.astype("complex64"),
        "values": np.full_like(array, 10**6 % 251),
    }
    kind = generator.choice((*changed, "name", "left out"))
    if kind in changed:
        arrays[name] = changed[kind]
    elif kind == "name":
        arrays[generator.choice(("a", "a/b/c/d", "../x/y", "classify/inputs/x"))] = array
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


FORGERIES = (_flipped, _cut_short, _deep, _bomb, _pickled, _other_arrays, _other_arrays)
TEXTS = (_flipped, _cut_short, _deep)


def _forge_manifest(folder: Path, generator: random.Random) -> str:
    """Changes the manifest in one to three places, and makes its hash right again."""
    manifest = json.loads((folder / bundle.MANIFEST).read_text("utf-8"))
    told = [_change(manifest, generator) for _ in range(generator.choice((1, 1, 1, 2, 3)))]
    _write(folder, manifest)
    return "; ".join(told)


def _change(manifest: dict[str, Any], generator: random.Random) -> str:
    places = list(_iter_places(manifest, ()))
    # Parts that are few are as likely as those of which there are many.
    groups: dict[Any, list[Any]] = {}
    for parent, key, path in places:
        groups.setdefault((path[0], type(key), len(path)), []).append((parent, key, path))
    parent, key, path = generator.choice(generator.choice(list(groups.values())))
    kind = generator.choice(("drop", "value", "value", "value", "key", "rename", "swap", "deep"))
    match kind:
        case "drop":
            del parent[key]
        case "value":
            parent[key] = json.loads(json.dumps(generator.choice(VALUES)))
        case "key":
            target = parent[key] if isinstance(parent[key], dict) else manifest
            target[generator.choice(("extra", "../x", "\x1b[2J", "", "keep", "a b"))] = 1
        case "rename" if isinstance(key, str):
            names = ("../../elsewhere/classify", "/tmp/classify", "other", "a\x00b", "B", "")
            parent[generator.choice(names)] = parent.pop(key)
        case "swap":
            other, name, _ = generator.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                parent[key] = json.loads(json.dumps(other[name]))
        case _:
            value: Any = []
            for _ in range(generator.choice((30, 150))):
                value = [value] if generator.random() < 0.5 else {"a": value}
            parent[key] = value
    return f"{kind} at {ascii('.'.join(map(str, path)))[:200]}"


def _iter_places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Yields the parent and key of every part, and where that is."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key, (*path, key)
        if isinstance(value[key], (dict, list)):
            yield from _iter_places(value[key], (*path, key))


def _forge_text(folder: Path, generator: random.Random) -> str:
    """Writes a manifest that is no JSON for all, or is too much of it."""
    path = folder / bundle.MANIFEST
    text = path.read_text("utf-8")
    forged = {
        "lists": '{"schema_version": 2, "labels": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
        "a digit of many": text.replace('"parameters": ', '"parameters": ' + "9" * 5000, 1),
        "a lone surrogate": text.replace('"task": "', '"task": "\\ud800', 1),
        "no UTF-8": text.replace('"task": "', '"task": "\udcff', 1),
        "a BOM": "\ufeff" + text,
        "nothing": "",
        "NaN": text.replace('"parameters": ', '"parameters": NaN, "x": ', 1),
        "twice": text.replace('"task": ', '"task": 5, "task": ', 1),
        "long": text[:-2] + " " * (17 << 20) + "}",
    }
    kind = generator.choice(list(forged))
    _replace(path, forged[kind].encode("utf-8", "surrogateescape"))
    return kind


MUTATIONS = {
    _forge_manifest: 70,
    _forge_text: 5,
    _flip: 7,
    _cut: 5,
    _swap_kind: 5,
    _forge_file: 8,
}


def rehash(folder: Path) -> None:
    """Makes the manifest say what the files are now."""
    manifest = json.loads((folder / bundle.MANIFEST).read_text("utf-8"))
    for name, record in manifest["files"].items():
        record |= {"sha256": bundle.hash_file(folder / name)}
        record["bytes"] = (folder / name).stat().st_size
    _write(folder, manifest)


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    # Not `write_manifest`, which refuses most of this, and trusts what it writes.
    manifest = {key: value for key, value in manifest.items() if key != "sha256"}
    manifest["sha256"] = bundle.hash_manifest(manifest)
    _replace(folder / bundle.MANIFEST, json.dumps(manifest).encode("ascii"))


def main() -> int:
    """Runs the attack on bundles and prints what came of it."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.mutated_bundles")
    arguments.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    arguments.add_argument(
        "--count", type=int, default=1000, help="examples of each (default: 1000)"
    )
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--triton", action="store_true", help="only `deploy --target triton`")
    given = arguments.parse_args()
    openers, faults = TRITON if given.triton else OPENERS, 0
    for source in given.bundles:
        with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
            outcome = attack(source, given.count, given.seed, Path(scratch), openers)
        print(f"{source}: {given.count:,} mutations, {len(outcome.faults)} faults")
        for name in openers:
            print(f"  {name}: {outcome.refused[name]:,} refused, {outcome.right[name]:,} opened")
        print(*outcome.faults[:50], sep="\n")
        faults += len(outcome.faults)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
