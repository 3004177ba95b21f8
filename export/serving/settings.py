"""Settings of a server; the command line reads the defaults here, without heavy imports."""

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """Batch size, queue and deadline.

    Attributes:
        max_batch: Largest number of rows of a call; 1 runs every request alone.
        max_wait_ms: Time that the first request of a batch waits for others while the runtime is
            idle. While it is busy, new requests join a batch anyway.
        max_queue: Largest number of waiting requests of a signature; more are refused. A request
            waits for about `max_queue / max_batch` batches, and the one that runs.
        deadline_s: Longest time in seconds that a request waits.
    """

    max_batch: int = 16
    max_wait_ms: float = 0.0
    max_queue: int = 256
    deadline_s: float = 30.0


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
        limits: Batch size, queue and deadline.
        token: Bearer token that every request needs; None admits all.
        max_body_bytes: Largest body of a request.
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
    max_body_bytes: int = 16_000_000
    grace_s: int = 30
    cache_dir: Path | None = None

    @property
    def threads_each(self) -> int:
        """Threads of a worker."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)
