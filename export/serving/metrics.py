"""What Prometheus reads at /metrics."""

from prometheus_client import Counter, Histogram

LABELS = ["model"]
REQUESTS = Counter("keras_seq_requests", "Requests, by what became of them", [*LABELS, "status"])
WAITED = Histogram("keras_seq_queue_seconds", "How long a request waited for its turn", LABELS)
RAN = Histogram("keras_seq_compute_seconds", "How long the runtime ran, a batch", LABELS)
ROWS = Histogram(
    "keras_seq_batch_rows", "Rows that ran together", LABELS, buckets=[2**i for i in range(9)]
)
TOKENS = Counter("keras_seq_tokens", "Tokens written to streams", LABELS)


def observe(model: str, rows: int, waited: list[float], ran: float) -> None:
    """One run: its rows, the seconds that each request of it waited, and those that it ran."""
    for seconds in waited:
        WAITED.labels(model).observe(seconds)
    RAN.labels(model).observe(ran)
    ROWS.labels(model).observe(rows)
