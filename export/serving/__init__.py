"""Bundles behind the Open Inference Protocol: `python -m export serve`.

    request -> wire -> checks -> batcher -> runtime -> wire -> answer

`models` describes a signature to kserve, whose data plane, REST routes and gRPC service speak the
protocol; `batching` runs concurrent requests together; `server` is the process.
"""
