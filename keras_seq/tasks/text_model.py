"""What the models of all tasks on texts have in common: embedding, backbone, tokenizer, export."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

# Imported so that Keras knows every class that a model's file may name.
import keras_seq.backbones
import keras_seq.text.byte_tokenizer
import keras_seq.text.sentencepiece  # noqa: F401
from keras_seq.checking import check_call, check_given, describe_unknown
from keras_seq.data.datasets import is_dataset, read_dataset
from keras_seq.embeddings import TokenEmbedding
from keras_seq.errors import (
    ArgumentError,
    UserError,
    describe,
    require_positive,
    require_share,
)
from keras_seq.options import require_applicable
from keras_seq.signature import Entry, Signature
from keras_seq.tasks.configuration import validate_config
from keras_seq.tasks.registry import get_task
from keras_seq.tasks.text_settings import TextSettings
from keras_seq.text import ByteTokenizer, SentencePieceTokenizer, Tokenizer
from keras_seq.text.utf8 import is_text, list_texts
from keras_seq.training.losses import CrossEntropy
from keras_seq.training.settings import MODEL
from keras_seq.typing import Arrays

KERAS_NAMES = {"name", "trainable", "dtype", "autocast"}  # arguments of keras.Model
OWN_NAMES = {"backbone", "tokenizer"}  # arguments that models have anyway
FIT_TYPES = {
    "batch_size": int | None,
    "epochs": int,
    "initial_epoch": int,
    "shuffle": bool,
    "steps_per_epoch": int | None,
    "validation_batch_size": int | None,
    "validation_freq": int,
    "validation_split": float,
    "validation_steps": int | None,
    "verbose": int | bool | str,
}
LEARNING_RATE = 1e-3  # for a backbone that settings say nothing of


@dataclass
class _Plan:
    """What a model is made of once its tokenizer is known. Keras looks for no layers in it."""

    settings: TextSettings
    by_name: bool
    tokenizer: Tokenizer | None
    arguments: dict[str, Any]


class NotAdaptedError(UserError, AttributeError):
    """A model was used whose layers are not made yet."""


class TextModel(keras.Model):
    """Base: token ids become vectors, which a backbone reads.

    Where tokenizer and all else is given, the layers are made at once. Otherwise `fit`, or `adapt`,
    learns what is missing from its texts first. A subclass has `assemble`, which makes the layers,
    and `make_parts`, which builds its arguments for the settings of the task.

    Args:
        backbone: A `keras_seq.backbones` backbone, or the name of one: "rnn", "lstm" or
            "transformer".
        tokenizer: A `keras_seq.text` tokenizer; or "bytes", or "sentencepiece", which is learnt
            from the texts. None is what `keras-seq train` does.
        arguments: Arguments of `assemble` by name; None stands for a default.
        **kwargs: Arguments of `keras.Model`; for a backbone by name also settings of the task that
            describe the model, such as `hidden_dim`. `keras-seq train TASK --help` lists them.

    Attributes:
        task: Name of the task.
    """

    task: str
    targets: str = ""  # what belongs to texts, such as "labels", where something does
    learnt: Sequence[str] = ()  # arguments that are learnt from the texts where they are not given
    on_texts: Sequence[str] = ()  # methods other than `predict` that answer texts
    returns_logits = True
    splits_digits = False  # Whether a learnt vocabulary has each digit as a piece of its own.
    default_metrics: Sequence[str] = ()

    def __init__(
        self,
        backbone: Any,
        tokenizer: Tokenizer | str | None,
        arguments: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        by_name = isinstance(backbone, str)
        if backbone is None:
            raise UserError(
                f"backbone is one of {', '.join(get_task(self.task).settings)}, or a backbone of "
                "keras_seq.backbones. Received: None"
            )
        settings = self._choose_settings(backbone if by_name else "")
        if isinstance(tokenizer, str):
            settings, tokenizer = settings.replace(tokenizer=tokenizer), None
        if tokenizer is None and settings.tokenizer == "bytes":
            tokenizer = ByteTokenizer()
        fields = dataclasses.fields(settings) if by_name else ()
        names = {field.name for field in fields if field.metadata["group"] == MODEL} - OWN_NAMES
        given = {name: value for name, value in arguments.items() if value is not None}
        known = sorted({*arguments, *names, *OWN_NAMES})
        for name in kwargs:
            if name not in {*known, *KERAS_NAMES}:
                raise ArgumentError(describe_unknown(name, known))
        options = {name: kwargs.pop(name) for name in [*kwargs] if name in names}
        super().__init__(**kwargs)
        if by_name:
            options |= {name: given.pop(name) for name in [*given] if name in names}
            settings = settings.replace(**options)
            require_applicable(settings, options)
        else:
            given["backbone"] = backbone
        check_given(type(self).assemble, given)
        self._learning_rate = settings.learning_rate if by_name else LEARNING_RATE
        self._plan = _Plan(settings, by_name, tokenizer, given)
        if tokenizer is not None and set(self.learnt) <= given.keys():
            self._assemble()

    def _choose_settings(self, backbone: str) -> TextSettings:
        """Returns the task's settings for a backbone; the default ones if it has no name."""
        choices = get_task(self.task).settings
        if backbone and backbone not in choices:
            raise UserError(f"backbone is one of {', '.join(choices)}. Received: {backbone!r}")
        return choices[backbone or next(iter(choices))]

    def __getattr__(self, name: str) -> Any:
        if name in ("backbone", "embedding", "head", "max_length", "tokenizer"):
            raise NotAdaptedError(
                f"The {type(self).__name__} has no layers yet: it learns its vocabulary from "
                "texts. Call fit(…) or adapt(texts) first, or give it a tokenizer"
                + "".join(f" and {name}" for name in self.learnt)
                + "."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def adapt(self, x: Any, y: Any = None, validation_split: float = 0.0) -> None:
        """Learns a vocabulary from texts, as far as none was given, and makes the layers.

        `fit` calls it where needed. A model whose layers are made keeps them.

        Args:
            x: Texts, or a `tf.data.Dataset` of them.
            y: Their labels or translations.
            validation_split: Share of the texts, the last ones, that no vocabulary is learnt from.

        Raises:
            UserError: If these are no texts.
        """
        plan = self._plan
        if plan is None:
            return
        x, y = read_dataset(x) if is_dataset(x) else (x, y)
        if not is_text(x):
            raise UserError(
                f"The {type(self).__name__} learns its vocabulary from texts: "
                f"{self._spell_call('fit')}. Received: {describe(x)}. Give texts, or give the "
                "model a tokenizer."
            )
        texts = list_texts(x)
        for name in self.learnt:
            if name not in plan.arguments:
                plan.arguments[name] = self.learn(name, texts, y)
        if plan.tokenizer is None:
            count = round(len(texts) * (1 - validation_split))
            plan.tokenizer = self.learn_tokenizer(plan.settings, texts[:count], y)
        self._assemble()

    def learn(self, name: str, texts: list[Any], y: Any) -> Any:
        """Returns one of the arguments in `learnt`, for texts and their labels or translations."""
        raise NotImplementedError

    def learn_tokenizer(self, settings: TextSettings, texts: list[Any], y: Any) -> Tokenizer:
        """Returns a tokenizer for texts and their labels or translations."""
        pieces, seed = settings.vocabulary_size, settings.seed
        return SentencePieceTokenizer.train(texts, pieces, seed, self.splits_digits)

    def _assemble(self) -> None:
        """Makes the layers."""
        plan, self._plan = self._plan, None
        arguments = plan.arguments
        if plan.by_name:
            parts = self.make_parts(plan.settings, plan.tokenizer.vocabulary_size)
            arguments = parts | arguments
        self.assemble(tokenizer=plan.tokenizer, **arguments)

    @staticmethod
    def make_parts(settings: Any, vocabulary_size: int) -> dict[str, Any]:
        """Returns arguments of `assemble`, the backbone among them, for settings of the task."""
        raise NotImplementedError

    def assemble(self, backbone: Any, tokenizer: Tokenizer, **arguments: Any) -> None:
        """Makes the layers around a backbone."""
        raise NotImplementedError

    def assemble_base(
        self,
        backbone: Any,
        tokenizer: Tokenizer,
        max_length: int,
        embedding: TokenEmbedding | None = None,
        scaled_embedding: bool = False,
    ) -> None:
        """Makes the layers that all tasks have.

        Args:
            backbone: The backbone.
            tokenizer: The tokenizer.
            max_length: Number of tokens of a text that the model reads.
            embedding: A `TokenEmbedding` of the tokenizer's vocabulary and the backbone's width; by
                default a new one.
            scaled_embedding: Whether a new embedding is scaled; see `TokenEmbedding`.
        """
        self.embedding = embedding or TokenEmbedding(
            tokenizer.vocabulary_size,
            backbone.hidden_dim,
            scaled=scaled_embedding,
            dtype=backbone.dtype_policy,
            name="embedding",
        )
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.max_length = max_length
        if tokenizer.vocabulary_size > self.embedding.vocabulary_size:
            raise ValueError(
                f"The tokenizer has {tokenizer.vocabulary_size} ids, the embedding "
                f"{self.embedding.vocabulary_size}: build it with the tokenizer's vocabulary_size."
            )

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        metrics: Any = None,
        weighted_metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training as `keras.Model.compile`.

        Args:
            optimizer: "auto" is AdamW with the learning rate of `keras-seq train`.
            loss: "auto" is the task's.
            metrics: As in Keras.
            weighted_metrics: "auto" are the task's, where no `metrics` are given.
            **kwargs: Other arguments of `keras.Model.compile`.
        """
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = keras.optimizers.AdamW(self._learning_rate)
        if isinstance(loss, str) and loss == "auto":
            loss = CrossEntropy(from_logits=self.returns_logits)
        if isinstance(weighted_metrics, str) and weighted_metrics == "auto":
            weighted_metrics = None if metrics else [*self.default_metrics]
        super().compile(
            optimizer, loss, metrics=metrics, weighted_metrics=weighted_metrics, **kwargs
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model as it was saved. Keras does so itself where `compile` is its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit`, also on texts.

        Args:
            x: Texts: one a row, in a list, an array, a pandas Series or a `tf.data.Dataset`. Or
                what `keras.Model.fit` takes.
            y: What belongs to the texts, in the same form; see the class.
            **kwargs: Other arguments of `keras.Model.fit`. Without a call of `compile`, that is
                called first.
        """
        check_call(super().fit, kwargs, FIT_TYPES)
        require_share(validation_split=kwargs.get("validation_split") or 0.0)
        sizes = {name: kwargs.get(name) for name in ("batch_size", "epochs")}
        require_positive(**{name: int(n) for name, n in sizes.items() if n is not None})
        self.require_data("fit", x, y)
        self.adapt(x, y, kwargs.get("validation_split") or 0.0)
        if not self.compiled:
            self.compile()
        x, y, weight = self.prepare(x, y)
        if kwargs.get("sample_weight") is None:
            kwargs["sample_weight"] = weight
        validation = kwargs.get("validation_data")
        if validation is not None:
            is_row = isinstance(validation, (tuple, list)) and not is_text(validation)
            rows = validation if is_row else (validation,)
            if self.targets and len(rows) < 2 and not is_dataset(rows[0]):
                raise UserError(
                    f"validation_data is texts and their {self.targets}, (texts, {self.targets}). "
                    f"Received: {describe(validation)}"
                )
            val_x, val_y, val_weight = self.prepare(*rows[:2])
            own_weights = rows[2:] or (() if val_weight is None else (val_weight,))
            is_prepared = is_dataset(val_x)
            kwargs["validation_data"] = val_x if is_prepared else (val_x, val_y, *own_weights)
        return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Computes the loss and the metrics as `keras.Model.evaluate`, also on texts."""
        # Keras also calls this method in `fit`, with data that is prepared already.
        check_call(super().evaluate, kwargs, FIT_TYPES)
        self.require_data("evaluate", x, y)
        x, y, weight = self.prepare(x, y)
        if kwargs.get("sample_weight") is None:
            kwargs["sample_weight"] = weight
        return super().evaluate(x, y, **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Computes outputs as `keras.Model.predict`, of token ids."""
        if is_text(x):
            others = " or ".join(f"{name}(texts)" for name in self.on_texts)
            raise UserError(
                f"predict of a {type(self).__name__} takes token ids. Received: {describe(x)}"
                + (f". For texts: {others}" if others else "")
            )
        self.require_data("predict", x)
        return super().predict(x, **kwargs)

    def require_data(self, method: str, x: Any, y: Any = None) -> None:
        """Raises UserError if `x` is no data for a method, or lacks what belongs to it."""
        rows = x if isinstance(x, (list, np.ndarray)) and not is_text(x) else None
        is_flat = rows is not None and len(rows) and not np.ndim(rows[0])
        is_single = not is_text(x) and (x is None or np.isscalar(x) or isinstance(x, (dict, set)))
        if is_single or is_flat:
            raise UserError(
                f"{self._spell_call(method)} takes texts, or rows of token ids. Received: "
                f"{describe(x)}"
            )
        if is_text(y) and not self.targets:
            raise UserError(
                f"{self._spell_call(method)} takes texts alone. Received: texts and y, "
                f"{describe(y)}"
            )
        if method == "predict" or not (is_text(x) or rows is not None):
            return
        if y is None and self.targets:
            raise UserError(
                f"{self._spell_call(method)} takes texts and their {self.targets}. Received: "
                f"{describe(x)} alone"
            )
        count = len(list_texts(x)) if is_text(x) else len(x)
        others = y if y is None or not is_text(y) else list_texts(y)
        if hasattr(others, "__len__") and len(others) != count:
            raise UserError(
                f"{self._spell_call(method)}: each text has one of the {self.targets}. Received: "
                f"{count} and {len(others)}"
            )

    def _spell_call(self, method: str) -> str:
        """Returns how a method is called: "fit(texts, labels)"."""
        both = self.targets and method != "predict"
        return f"{method}(texts, {self.targets})" if both else f"{method}(texts)"

    def prepare(self, x: Any, y: Any = None) -> tuple[Any, Any, Any]:
        """Converts texts to what `keras.Model.fit` takes: `x`, `y` and weights.

        Data that is no text stays as it is.
        """
        return x, y, None

    def build_parts(self) -> None:
        """Builds the embedding and the backbone, where they are not built yet."""
        if not self.embedding.built:
            self.embedding.build((None, None))
        if not self.backbone.built:
            self.backbone.build((None, None, self.embedding.dim))

    def describe(self) -> dict[str, Any]:
        """Returns the backbone and the sizes, for the manifest of a bundle."""
        return {
            "backbone": self.backbone.kind,
            "vocabulary_size": self.embedding.vocabulary_size,
            "hidden_dim": self.backbone.hidden_dim,
            "parameters": int(self.count_params()),
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "max_length": self.max_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        if "embedding" not in config:
            raise ValueError(
                "The file was saved when backbones held the embedding. Load it once with "
                "keras_seq.models.load_model(path) and save it again."
            )
        name = keras.saving.get_registered_name(cls)
        validate_config({"class_name": cls.__name__, "registered_name": name, "config": config})
        for part in ("backbone", "tokenizer", "embedding"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


class SignatureMixin:
    """What the exporter asks of a model; see `keras_seq.signature.Exportable`.

    Attributes:
        entry: The main signature and the interactive ones.
        labels: Names of the classes; empty for other tasks.
        signatures_class: Takes the model; has `signatures`, `signature_inputs`, `random_inputs` and
            `limits`.
    """

    entry: Entry
    labels: Sequence[str] = ()
    signatures_class: type

    @cached_property
    def _exported(self) -> Any:
        return self.signatures_class(self)

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """Returns the functions to export; see the model's `signatures_class`."""
        return self._exported.signatures(sizes)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """Returns the inputs of each signature made from `texts`, cut to `sizes`."""
        return self._exported.signature_inputs(texts, sizes)

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """Returns `count` rows of random inputs of each signature."""
        return self._exported.random_inputs(count, seed, sizes)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Returns the largest size of each dimension of a signature that has one."""
        return self._exported.limits(sizes)
