"""Metrics for Prometheus, and a log line for each request; never the texts of users."""

import json
import logging
import time

from prometheus_client import Counter, Gauge, Histogram

LABELS = ["model"]
REQUESTS = Counter(
    "keras_seq_requests",
    "Requests, by status",
    [*LABELS, "protocol", "status"],
)
IN_FLIGHT = Gauge(
    "keras_seq_requests_in_flight", "Requests that are not answered yet", ["protocol"]
)
WAITED = Histogram("keras_seq_queue_seconds", "How long a request waited for its turn", LABELS)
RAN = Histogram("keras_seq_compute_seconds", "How long the runtime ran a batch", LABELS)
ROWS = Histogram(
    "keras_seq_batch_rows", "Rows that ran together", LABELS, buckets=[2**i for i in range(9)]
)
TOKENS = Counter("keras_seq_tokens", "Tokens written to streams", LABELS)

log = logging.getLogger("keras_seq.access")


def observe(model: str, rows: int, waited: list[float], ran: float) -> None:
    """Records a run: its rows, the seconds that each request waited, and the seconds it ran."""
    for seconds in waited:
        WAITED.labels(model).observe(seconds)
    RAN.labels(model).observe(ran)
    ROWS.labels(model).observe(rows)


def record(
    protocol: str, method: str, path: str, model: str, status: int | str, start: float, client: str
) -> None:
    """Records a request.

    Args:
        protocol: "http" or "grpc".
        method: HTTP method, such as "POST"; empty for gRPC.
        path: Path or method that was called.
        model: Name of the model; empty if there is no such model.
        status: Status of the answer.
        start: Time of arrival, by `time.monotonic`.
        client: Address of the client.
    """
    REQUESTS.labels(model, protocol, str(status)).inc()
    line = {
        "protocol": protocol,
        "method": method,
        "path": path,
        "model": model,
        "status": status,
        "ms": round(1000 * (time.monotonic() - start), 2),
        "client": client,
    }
    log.info(json.dumps(line))
