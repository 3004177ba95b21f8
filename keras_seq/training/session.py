"""How a run of any task begins, or goes on."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import keras

from keras_seq.errors import UserError
from keras_seq.models import load_model
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer, Tokenizer
from keras_seq.training.devices import Devices
from keras_seq.training.run import Run, write_json
from keras_seq.training.settings import TrainingSettings

Say = Callable[[str], None]


@contextlib.contextmanager
def learning(settings: TrainingSettings, devices: Devices) -> Iterator[None]:
    """Inside, models are built in the precision of `settings`, on `devices`, from its seed."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        with devices.use(settings.batch_size):
            keras.utils.set_random_seed(settings.seed)
            yield
    finally:
        keras.config.set_dtype_policy(policy)


def conducted(
    run: Run,
    settings: TrainingSettings,
    devices: Devices,
    learn: Callable[[], None],
    evaluate: Callable[[Any], dict[str, Any]],
) -> Any:
    """The best epoch's model of a run that `learn` carries out; its results are kept in the run.

    None in a process that is not the first of several.
    """
    with learning(settings, devices):
        learn()
    if not devices.chief:
        return None
    best = load_model(run.model_path)
    write_json(run.evaluation_path, evaluate(best))
    return best


def tokenizer_for(
    run: Run,
    kind: str,
    vocabulary_size: int,
    texts: Sequence[str],
    seed: int,
    say: Say,
    split_digits: bool = False,
) -> Tokenizer:
    """The run's tokenizer; one learnt from `texts` where the run begins and `kind` is
    "sentencepiece".
    """
    if kind == "bytes":
        return ByteTokenizer()
    if run.started:
        return SentencePieceTokenizer(run.tokenizer_path.read_bytes())
    say(f"Learning a vocabulary of at most {vocabulary_size:,} pieces")
    return SentencePieceTokenizer.train(texts, vocabulary_size, seed, split_digits)


def begin(
    run: Run,
    task: str,
    name: str,
    source: Mapping[str, Any],
    fingerprint: str,
    settings: TrainingSettings,
    tokenizer: Tokenizer,
    devices: Devices,
    say: Say,
    initial: Any = None,
) -> None:
    """Makes the folder of a run, or checks that one goes on with what it began with.

    `initial` is the model whose backbone the run begins with, if there is one.

    Raises:
        UserError: If the data has changed.
    """
    backend = keras.backend.backend()
    if not run.started:
        if devices.chief:
            run.start(
                {
                    "task": task,
                    "data": dict(source),
                    "data_sha256": fingerprint,
                    "keras_backend": backend,
                    "settings": asdict(settings),
                },
                tokenizer,
                initial,
            )
    elif run.config.get("data_sha256") != fingerprint:
        raise UserError(
            f"{name} is not what {run.path} learnt from: its texts have changed. Put the data "
            "back, or begin a new run."
        )
    elif run.config.get("keras_backend") != backend:
        before = run.config.get("keras_backend")
        say(
            f"The run was begun with KERAS_BACKEND={before} and goes on with {backend}: it will "
            "not end with the very same weights."
        )


def settings_of(run: Run, kind: type) -> Any:
    """The settings that `run` was begun with, of the class `kind`."""
    known = {field.name for field in fields(kind)}
    found = run.config["settings"]
    return kind(**{name: found[name] for name in known & found.keys()})
