"""Bundles behind the Open Inference Protocol: `python -m export serve`.

    request -> wire -> checked -> batcher -> runtime -> wire -> answer

`models` describes a signature to kserve, whose data plane, REST routes and gRPC service speak the
protocol; `batching` runs requests that come at once together; `server` is the process.
"""
