"""Prints what a text generator writes."""

import dataclasses
from typing import Any

from keras_seq.console import escape, print_json, print_text
from keras_seq.errors import UserError
from keras_seq.options import to_flag
from keras_seq.tasks.generate.options import GenerationOptions
from keras_seq.tasks.prediction import SAMPLING, SEARCH


def predict(model: Any, prompts: list[str], options: GenerationOptions, as_json: bool) -> None:
    """Prints each prompt and its continuation, as it is generated."""
    groups: dict[str, dict[str, Any]] = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value is not None and field.name != "prompt":
            groups.setdefault(field.metadata["group"], {})[field.name] = value
    sampling, search = groups.get(SAMPLING, {}), groups.get(SEARCH, {})
    settings = {name: value for values in groups.values() for name, value in values.items()}
    if search:
        if sampling or "num_beams" not in search:
            received = ", ".join(map(to_flag, sampling)) or "--length-penalty without --num-beams"
            raise UserError(
                "--num-beams N searches for the likeliest text, with --length-penalty; nothing is "
                f"sampled. Received: {received}"
            )
        _print_search(model, prompts, settings, as_json)
    elif as_json:
        for prompt, text in zip(prompts, model.generate(prompts, **settings), strict=True):
            print_json({"prompt": prompt, "text": text})
    else:
        for prompt in prompts:
            pieces = model.stream(prompt, **settings)
            print(escape(prompt), end="", flush=True)
            for piece in pieces:
                print(escape(piece), end="", flush=True)
            print()


def _print_search(model: Any, prompts: list[str], options: dict[str, Any], as_json: bool) -> None:
    results = model.beam_search(prompts, **options)
    for prompt, hypotheses in zip(prompts, results, strict=True):
        if as_json:
            print_json({"prompt": prompt, "hypotheses": [vars(h) for h in hypotheses]})
        else:
            print_text(f"{prompt}{hypotheses[0].text}")
