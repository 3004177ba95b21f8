"""Prints the results and the translations of translators."""

import dataclasses
from typing import Any

from keras_seq.console import print_json, print_status, print_table, print_text, shorten
from keras_seq.errors import UserError
from keras_seq.tasks.translate.attention_plot import plot_attention, require_plot_path
from keras_seq.tasks.translate.options import TranslationOptions

COLUMNS = ("bleu", "bleu_lowercase", "chrf", "exact", "examples", "cut")
DEFAULT_BEAMS = 4


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints BLEU, chrF and exact matches."""
    values = (metrics[name] for name in COLUMNS)
    row = [f"{value:,}" if isinstance(value, int) else f"{value:.4f}" for value in values]
    title = f"{metrics['data']}, {metrics['num_beams']} beams, {metrics['signature']}"
    print_table([name.replace("_", " ") for name in COLUMNS], [row], title)


def predict(model: Any, texts: list[str], options: TranslationOptions, as_json: bool) -> None:
    """Prints the translation of each text, or the best ones."""
    values = {name: v for name, v in dataclasses.asdict(options).items() if v is not None}
    plot, shown = values.pop("attention", None), values.pop("alternatives", None)
    if plot:
        _require_one_sentence(model, texts, plot)
    if shown is not None:
        if shown < 1:
            raise UserError(f"--alternatives is 1 or more. Received: {shown}")
        if shown > values.setdefault("num_beams", max(shown, DEFAULT_BEAMS)):
            raise UserError(
                f"A search with {values['num_beams']} beams gives as many texts. Received: "
                f"--alternatives {shown}. Raise --num-beams."
            )
    values["split"] = not values.pop("no_split", False)
    for text, hypotheses in zip(texts, model.hypotheses(texts, **values), strict=True):
        best = hypotheses[0]
        if as_json:
            answer = {"text": text, "translation": best.text, "ended": best.ended}
            print_json({**answer, "hypotheses": [vars(h) for h in hypotheses[: shown or 1]]})
        elif shown:
            rows = [(f"{h.score:.4f}", h.text) for h in hypotheses[:shown]]
            print_table(("score", "translation"), rows, text)
        else:
            print_text(best.text)
        if not best.ended:
            print_status(f"This translation was cut: it had not ended. {shorten(best.text)}")
    if plot:
        plot_attention(plot, model.attention(texts[0].strip(), best.text))
        print_status(f"Plotted: {plot}")


def _require_one_sentence(model: Any, texts: list[str], plot: str) -> None:
    require_plot_path(plot)
    if len(texts) > 1:
        raise UserError(f"--attention plots one text. Received: {len(texts)}")
    count = len(model.tokenizer.encode([texts[0].strip()])[0])
    if not 0 < count <= model.max_length:
        raise UserError(
            f"--attention plots a text of 1 to {model.max_length} tokens, such as one sentence. "
            f"Received: {count:,} tokens"
        )
