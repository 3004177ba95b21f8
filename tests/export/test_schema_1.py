"""Bundles of manifest schema 1 work as those of today."""

import asyncio
import json
import shutil

import httpx
import pytest

import export
from export import bundle
from export.cli import main
from keras_seq.signature import DIMENSIONS

LETTERS = {word: letter for letter, word in DIMENSIONS.items()}


def downgrade(manifest):
    """Returns a manifest of schema 2 as keras-seq wrote it in schema 1."""
    old = {**manifest, "schema_version": 1}
    for key in ("entry", "dimensions", "variants"):
        del old[key]
    old["limits"] = {LETTERS[word]: limit for word, limit in manifest["limits"].items()}
    old["formats"] = {}
    for variant in manifest["variants"]:
        rest = {key: value for key, value in variant.items() if key != "format"}
        old["formats"][variant["format"]] = rest
    parity = {v["format"]: v["signatures"] for v in manifest["parity"]["variants"]}
    old["parity"] = {"formats": parity} | {
        key: value for key, value in manifest["parity"].items() if key != "variants"
    }
    old["signatures"] = json.loads(json.dumps(manifest["signatures"]))
    for signature in old["signatures"].values():
        for tensor in signature["inputs"]:
            if tensor.pop("truncation_side", None) == "left":
                tensor["keep"] = "end"
    return old


@pytest.fixture(params=["mood", "bard", "en-de"])
def old_bundle(request, served, tmp_path):
    """A bundle with a manifest of schema 1, and the manifest that it had."""
    folder = shutil.copytree(served / request.param, tmp_path / request.param)
    manifest = bundle.read_manifest(folder)
    old = downgrade(manifest)
    old["sha256"] = bundle._own_sha256(old)
    (folder / "manifest.json").write_text(json.dumps(old), "utf-8")
    return folder, manifest


def test_it_reads_as_schema_2(old_bundle):
    folder, manifest = old_bundle
    upgraded = bundle.read_manifest(folder)
    assert {**upgraded, "sha256": ""} == {**manifest, "sha256": ""}


def test_it_runs_and_is_checked_and_inspected(old_bundle, served, capsys):
    folder, manifest = old_bundle
    main_signature = manifest["entry"]["signature"]
    for name in (folder, served / folder.name):
        assert export.load(name).run(main_signature, ["a film"], seed=1)
    assert main(["check", str(folder)]) == 0
    assert main(["inspect", str(folder)]) == 0
    assert main_signature in capsys.readouterr().out


def test_it_is_served(old_bundle):
    from export.serving.http import application
    from export.serving.repository import Repository
    from export.serving.settings import Settings

    folder, manifest = old_bundle

    async def ask():
        settings = Settings()
        app = application(Repository({"old": folder}, settings), settings)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            given = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a film"]}
            answer = await client.post("/v2/models/old/infer", json={"inputs": [given]})
            models = await client.get("/openai/v1/models")
            return answer, models.json()["data"]

    answer, writers = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    assert answer.json()["model_name"] == f"old.{manifest['entry']['signature']}"
    assert len(writers) == (manifest["task"] == "generate")


def test_a_changed_manifest_is_refused(old_bundle):
    folder, _ = old_bundle
    path = folder / "manifest.json"
    path.write_text(path.read_text("utf-8").replace("en", "de", 1), "utf-8")
    with pytest.raises(ValueError, match="is damaged"):
        bundle.read_manifest(folder)
