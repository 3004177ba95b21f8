"""What a server can be told. Light: the command line reads the defaults here."""

import os
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """How requests are joined, and how many wait.

    Attributes:
        max_batch: Rows of a call of the runtime at most; 1 joins nothing.
        max_wait_ms: How long the first of a batch waits for others while the runtime is free. While
            it is not, what comes is joined anyway.
        max_queue: Requests of a signature that wait at most; more are refused. One that is accepted
            waits for about `max_queue / max_batch` batches, and the one that runs.
        deadline_s: Seconds that a request waits at most.
    """

    max_batch: int = 16
    max_wait_ms: float = 0.0
    max_queue: int = 256
    deadline_s: float = 30.0


@dataclass(frozen=True)
class Settings:
    """Of a server.

    Attributes:
        host: Address it listens on; this machine only unless told otherwise.
        http_port: 0 for none in use.
        grpc_port: None for no gRPC.
        workers: Calls of the runtime at once; by default as many as there are cores. (Of a model's
            small operators few gain from a second thread, and batches form while all are busy.)
        threads: Threads of each; by default the cores divided among the workers.
        limits: How requests are joined, and how many wait.
        token: That every request has to bear; None lets all in.
        max_body_bytes: Of a request.
        grace_s: Seconds that requests in flight have to end, when it is told to stop.
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

    @property
    def threads_each(self) -> int:
        """Threads of a worker."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)
