"""Settings of a server; the command line reads the defaults here, without heavy imports."""

import os
from dataclasses import dataclass, field
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Batch size, queue, deadline, and how much one request may ask for.

    Attributes:
        max_batch: Largest number of rows of a call; 1 runs every request alone.
        max_wait_ms: Time that the first request of a batch waits for others while the runtime is
            idle. While it is busy, new requests join a batch anyway.
        max_queue: Largest number of waiting requests of a signature; more are refused. A request
            waits for about `max_queue / max_batch` batches, and the one that runs.
        deadline_s: Longest time in seconds from a request's arrival to its answer, or to the next
            part of a stream.
        max_rows: Largest number of rows of a request.
        max_prompts: Largest number of prompts of a completion.
        max_stops: Largest number of stop texts of a completion.
    """

    max_batch: int = 16
    max_wait_ms: float = 0.0
    max_queue: int = 256
    deadline_s: float = 30.0
    max_rows: int = 10_000
    max_prompts: int = 64
    max_stops: int = 16


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        host: Address to listen on; this machine only by default.
        http_port: Port of HTTP; 0 for a free one.
        grpc_port: Port of gRPC; 0 for a free one, None for no gRPC.
        workers: Calls of the runtime at once; the number of cores by default. (Few small operators
            gain from a second thread, and batches form while all workers are busy.)
        threads: Threads of each call; by default the cores divided among the workers.
        limits: Batch size, queue, deadline, and how much one request may ask for.
        token: Bearer token that every request needs; None admits all.
        max_body_bytes: Largest body of a request.
        max_memory: Bytes for all requests together: bodies, inputs, calls of the runtime, answers.
        max_connections: Largest number of HTTP connections, and of gRPC calls at once.
        body_timeout_s: Seconds in which a request's head and body must arrive.
        idle_timeout_s: Seconds after which a client that takes no part of its answer is given up.
        grace_s: Seconds that requests in flight have when the server stops.
        cache_dir: Folder for the copies of bundles that are opened; see `export.serving.copies`.
    """

    host: str = "127.0.0.1"
    http_port: int = 8080
    grpc_port: int | None = 8081
    workers: int = os.cpu_count() or 1
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    max_body_bytes: int = 16 * MB
    max_memory: int = 1024 * MB
    max_connections: int = 1024
    body_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    grace_s: int = 30
    cache_dir: Path | None = None

    @property
    def threads_each(self) -> int:
        """Threads of a worker."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)
