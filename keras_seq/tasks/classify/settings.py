"""How a text classifier is built and trained. Plain data: imports nothing heavy."""

from dataclasses import dataclass

from keras_seq.errors import UserError
from keras_seq.options import option
from keras_seq.tasks.text_settings import TextSettings
from keras_seq.training.settings import MODEL, PRETRAINING, WIDTH

DATA = "data"


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(TextSettings):
    """The settings of a classifier; `BACKBONES` has the defaults of each backbone."""

    backbone: str = "lstm"
    hidden_dim: int = 64
    embedding_dim: int = option(
        64,
        "width of the token embedding of a recurrent model",
        group=MODEL,
        check=WIDTH,
        applies="backbone=rnn|lstm",
    )
    pooling: str = option(
        "max", "how the features of tokens are pooled", group=MODEL, choices=("max", "mean")
    )
    dropout: float = 0.4
    learning_rate: float = 2e-3
    limit: int = option(
        0,
        "labelled texts to learn from, including those that select the best epoch; 0 for all",
        group=DATA,
        check=("0 for all, or 2 or more", lambda x: x == 0 or x >= 2),
    )
    init_from: str = option(
        "",
        "run, .keras file or preset whose backbone and tokenizer the classifier begins with; "
        "settings that describe them are not used",
        group=PRETRAINING,
        metavar="RUN",
        default_text="random weights",
    )
    freeze: bool = option(False, "do not train that backbone", group=PRETRAINING)
    layer_decay: float = option(
        1.0,
        "layer-wise decay of the learning rate: factor from a layer to the one below",
        group=PRETRAINING,
        check=("above 0, 1 at most", lambda x: 0 < x <= 1),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone == "transformer" and self.hidden_dim % self.num_heads:
            raise UserError(
                f"A transformer's hidden_dim divides by its {self.num_heads} heads. Received: "
                f"{self.hidden_dim}"
            )
        if self.backbone != "transformer" and self.hidden_dim % 2:
            raise UserError(
                "hidden_dim is even: the two directions of reading share it. Received: "
                f"{self.hidden_dim}"
            )
        for name in ("freeze", "layer_decay"):
            if not self.init_from and getattr(self, name) != getattr(type(self), name):
                raise UserError(
                    f"{name} is for a backbone that was trained before: name it with --init-from."
                )
        if self.freeze and self.layer_decay != 1:
            raise UserError("freeze leaves the backbone as it is: leave layer_decay out.")


BACKBONES = {
    "lstm": ClassifierSettings(backbone="lstm"),
    "rnn": ClassifierSettings(backbone="rnn", learning_rate=1e-3, dropout=0.3, epochs=3),
    "transformer": ClassifierSettings(
        backbone="transformer", num_layers=2, pooling="mean", dropout=0.2, learning_rate=1e-3
    ),
}
