"""Bundles of manifest schema 1 work as those of today."""

import pytest

import export
from export import bundle
from export.cli import main
from tests.export.helpers import copy_with_schema_1


@pytest.fixture(params=["mood", "bard", "en-de"])
def old_bundle(request, served, tmp_path):
    """A bundle with a manifest of schema 1, and the manifest that it had."""
    folder = tmp_path / request.param
    return folder, copy_with_schema_1(served / request.param, folder)


def test_it_reads_as_schema_2(old_bundle):
    folder, manifest = old_bundle
    upgraded = bundle.read_manifest(folder)
    assert {**upgraded, "sha256": ""} == {**manifest, "sha256": ""}


def test_it_runs_and_is_checked_and_inspected(old_bundle, served, capsys):
    folder, manifest = old_bundle
    main_signature = manifest["entry"]["signature"]
    for name in (folder, served / folder.name):
        assert export.load(name).run(main_signature, ["a film"])
    assert main(["check", str(folder)]) == 0
    assert main(["inspect", str(folder)]) == 0
    assert main_signature in capsys.readouterr().out


def test_a_changed_manifest_is_refused(old_bundle):
    folder, _ = old_bundle
    path = folder / "manifest.json"
    path.write_text(path.read_text("utf-8").replace("en", "de", 1), "utf-8")
    with pytest.raises(ValueError, match="is damaged"):
        bundle.read_manifest(folder)
