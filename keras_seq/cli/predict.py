"""`keras-seq predict`."""

import argparse
import io
import json
import sys
from typing import Any

from keras_seq.console import import_quietly, print_status, print_table
from keras_seq.errors import UserError
from keras_seq.tasks.translate.attention_plot import draw_attention, require_picture
from keras_seq.text.utf8 import to_bytes

DRAWING = ("temperature", "top_k", "top_p", "repetition_penalty", "stop", "seed")
SEARCHING = ("beam", "length_penalty")
OPTIONS = {
    "classify": (),
    "generate": ("prompt", "max_new_tokens", "truncate", *DRAWING, *SEARCHING),
    "translate": (
        "max_new_tokens",
        "min_new_tokens",
        "no_repeat_ngram",
        "no_split",
        "alternatives",
        "attention",
        *SEARCHING,
    ),
}
ALL_OPTIONS = list(dict.fromkeys(name for names in OPTIONS.values() for name in names))


def add(commands: Any) -> None:
    """Adds the command."""
    predict = commands.add_parser(
        "predict",
        help="use a model",
        description="Of a classifier, prints label and probability of each text. Of a generator, "
        "prints each prompt and what follows it, as it is produced. Of a translator, prints the "
        "translation of each text.",
    )
    predict.add_argument("model", metavar="RUN", help="a run folder, a .keras file, or preset:NAME")
    predict.add_argument(
        "texts",
        metavar="TEXT",
        nargs="*",
        help="texts or prompts; without any, a line of standard input each",
    )
    predict.add_argument("--json", action="store_true", help="print a JSON object a text")
    writing = predict.add_argument_group("writing", "For generators.")
    add = writing.add_argument
    add("--prompt", action="append", metavar="TEXT", help='what to go on from; "" begins a text')
    add("--max-new-tokens", type=int, metavar="N", help="tokens to add at most")
    add(
        "--temperature",
        type=float,
        metavar="X",
        help="0 takes the likeliest token, less than 1 keeps to likely ones (default: 1)",
    )
    add("--top-k", type=int, metavar="N", help="draw from the N likeliest tokens (default: 0, all)")
    add(
        "--top-p",
        type=float,
        metavar="X",
        help="draw from the likeliest tokens that have this probability together (default: 1)",
    )
    add(
        "--repetition-penalty",
        type=float,
        metavar="X",
        help="above 1, what was there before is less likely (default: 1)",
    )
    add("--stop", action="append", metavar="TEXT", help="ends the text; may be repeated")
    add("--seed", type=int, metavar="N", help="the same seed gives the same text")
    add("--truncate", action="store_true", default=None, help="read the end of too long a prompt")
    searching = predict.add_argument_group("searching", "For translators, and generators.")
    add = searching.add_argument
    add(
        "--beam",
        type=int,
        metavar="N",
        help="follow N texts at once for the likeliest (default: 4; a generator draws instead)",
    )
    add(
        "--length-penalty",
        type=float,
        metavar="X",
        help="more prefers longer texts (default: 0.6; of a generator 0, the likeliest)",
    )
    translating = predict.add_argument_group("translating", "For translators.")
    add = translating.add_argument
    add("--alternatives", type=int, metavar="N", help="print the N best, with their scores")
    add("--attention", metavar="FILE", help="draw where the model looked: a .png, .svg or .pdf")
    add("--min-new-tokens", type=int, metavar="N", help="tokens to write at least (default: 0)")
    add(
        "--no-repeat-ngram",
        type=int,
        metavar="N",
        help="write no N tokens in a row twice (default: 0, any)",
    )
    add(
        "--no-split",
        action="store_true",
        default=None,
        help="an error where a text is too long for the model; else it is split into sentences",
    )
    predict.set_defaults(command=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    texts = [*(arguments.prompt or []), *arguments.texts]
    if not texts:
        lines = io.StringIO(sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape"))
        texts = [line.rstrip("\r\n") for line in lines]
    # A byte that is not UTF-8 is read as "?", and shown so.
    texts = [to_bytes(text).decode("utf-8") for text in texts]
    if not texts:
        raise UserError('There is no text. Give some: keras-seq predict RUN "A wonderful film."')
    import_quietly("keras_seq.models")
    from keras_seq.training.run import find_model

    model, _ = find_model(arguments.model)
    if model.task == "unmask":
        raise UserError(
            f"{arguments.model} fills gaps and is there to go on from: keras-seq train classify "
            f"--init-from {arguments.model}"
        )
    values = vars(arguments)
    options = {name: values[name] for name in ALL_OPTIONS if values[name] is not None}
    for name in options:
        if name not in OPTIONS[model.task]:
            raise UserError(
                f"{arguments.model} is a model of the task {model.task}, which has no "
                f"{_option(name)}. Leave it out."
            )
    options.pop("prompt", None)
    answer = {"classify": _classify, "generate": _write, "translate": _translate}[model.task]
    answer(model, texts, options, arguments.json)
    return 0


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _write(model: Any, prompts: list[str], options: dict[str, Any], as_json: bool) -> None:
    if options.keys() & set(SEARCHING):
        _search(model, prompts, options, as_json)
        return
    if as_json:
        for prompt, text in zip(prompts, model.generate(prompts, **options), strict=True):
            _print_json({"prompt": prompt, "text": text})
        return
    for prompt in prompts:
        pieces = model.stream(prompt, **options)
        print(prompt, end="", flush=True)
        for piece in pieces:
            print(piece, end="", flush=True)
        print()


def _search(model: Any, prompts: list[str], options: dict[str, Any], as_json: bool) -> None:
    drawing = [_option(name) for name in DRAWING if name in options]
    if drawing or "beam" not in options:
        raise UserError(
            "--beam N searches for the likeliest text, with --length-penalty; nothing is drawn. "
            f"Received: {', '.join(drawing) or '--length-penalty without --beam'}"
        )
    beams = options.pop("beam")
    for prompt, found in zip(prompts, model.search(prompts, beams=beams, **options), strict=True):
        if as_json:
            _print_json({"prompt": prompt, "hypotheses": [vars(one) for one in found]})
        else:
            print(f"{prompt}{found[0].text}")


def _translate(model: Any, texts: list[str], options: dict[str, Any], as_json: bool) -> None:
    picture, shown = options.pop("attention", None), options.pop("alternatives", None)
    if picture:
        require_picture(picture)
        if len(texts) > 1:
            raise UserError(f"--attention draws one text. Received: {len(texts)}")
        count = len(model.tokenizer.encode([texts[0].strip()])[0])
        if not 0 < count <= model.max_length:
            raise UserError(
                f"--attention draws a text of 1 to {model.max_length} tokens, such as one "
                f"sentence. Received: {count:,} tokens"
            )
    if shown is not None:
        if shown < 1:
            raise UserError(f"--alternatives is 1 or more. Received: {shown}")
        if shown > options.setdefault("beam", max(shown, 4)):
            raise UserError(
                f"A search with {options['beam']} beams gives as many texts. Received: "
                f"--alternatives {shown}. Raise --beam."
            )
    options["split"] = not options.pop("no_split", False)
    for text, found in zip(texts, model.hypotheses(texts, **options), strict=True):
        best = found[0]
        if as_json:
            answer = {"text": text, "translation": best.text, "ended": best.ended}
            answer["hypotheses"] = [vars(hypothesis) for hypothesis in found[: shown or 1]]
            _print_json(answer)
        elif shown:
            rows = [(f"{h.score:.4f}", h.text) for h in found[:shown]]
            print_table(("score", "translation"), rows, text)
        else:
            print(best.text)
        if not best.ended:
            print_status(f"This translation was cut: it had not ended. {_shortened(best.text)}")
    if picture:
        draw_attention(picture, model.attention(texts[0].strip(), best.text))
        print_status(f"Drawn: {picture}")


def _classify(model: Any, texts: list[str], options: dict[str, Any], as_json: bool) -> None:
    probabilities = model.predict(texts, verbose=0)
    if as_json:
        for text, row in zip(texts, probabilities, strict=True):
            values = dict(zip(model.labels, (float(p) for p in row), strict=True))
            answer = {"text": text, "label": model.labels[row.argmax()], "probabilities": values}
            _print_json(answer)
        return
    rows = [
        (model.labels[row.argmax()], f"{row.max():.4f}", _shortened(text))
        for text, row in zip(texts, probabilities, strict=True)
    ]
    print_table(("label", "probability", "text"), rows)


def _print_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
