"""What several tests of bundles use."""


def parity_figures(manifest):
    """Returns the parity figures of a manifest by format and signature."""
    return {v["format"]: v["signatures"] for v in manifest["parity"]["variants"]}
