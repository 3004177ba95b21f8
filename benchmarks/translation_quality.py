"""How well a translator translates what was held out, counted in three ways.

    python -m benchmarks.translation_quality preset:en-de    (pip install -e ".[bench]")
    python -m benchmarks.translation_quality runs/en-de --beams 1 5

BLEU and chrF as sacrebleu counts them, with the signature; of lower-cased texts, too (`-lc`). In
the last column as papers on Multi30k do that train on lower-cased, tokenised text (Wu et al. 2021,
whose Transformer-Tiny of 2.6 million parameters has 41.02 from English to German): lower-cased
texts, cut into words by Moses' tokenizer, without smoothing.
"""

import argparse
from collections.abc import Sequence

from keras_seq.tasks import load_corpus

BEAMS = (1, 4, 5)


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.translation_quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="RUN", help="of a translator")
    parser.add_argument("--data", default="multi30k", help="(default: multi30k)")
    parser.add_argument("--beams", type=int, nargs="+", default=BEAMS, metavar="N")
    arguments = parser.parse_args()

    from keras_seq.console import print_table
    from keras_seq.models import find_model
    from keras_seq.tasks.translate.metrics import translation_metrics

    model, _ = find_model(arguments.model)
    corpus = load_corpus("translate", arguments.data, source=model.source, target=model.target)
    pairs = corpus.held_out
    rows = []
    for num_beams in arguments.beams:
        found = model.translate(pairs.sources, num_beams=num_beams)
        scores = translation_metrics(found, pairs.targets, model.target)
        figures = (
            scores["bleu"],
            scores["bleu_lowercase"],
            scores["chrf"],
            moses_bleu(found, pairs.targets, model.target),
        )
        rows.append((str(num_beams), *(f"{figure:.2f}" for figure in figures)))
    title = (
        f"{arguments.model}, {model.count_params():,} parameters: {corpus.name}, {model.source} to "
        f"{model.target}, {len(pairs):,} held-out sentences; {scores['signature']}"
    )
    print_table(("beams", "BLEU", "BLEU -lc", "chrF", "BLEU of Moses' words"), rows, title)
    return 0


def moses_bleu(found: Sequence[str], expected: Sequence[str], language: str) -> float:
    """BLEU of lower-cased texts in the words of Moses' tokenizer (sacremoses), from 0 to 100."""
    from sacrebleu.metrics import BLEU
    from sacremoses import MosesTokenizer

    tokenizer = MosesTokenizer(language)

    def words(texts: Sequence[str]) -> list[str]:
        return [tokenizer.tokenize(t.lower(), return_str=True, escape=False) for t in texts]

    bleu = BLEU(tokenize="none", smooth_method="none", force=True)
    return bleu.corpus_score(words(found), [words(expected)]).score


if __name__ == "__main__":
    raise SystemExit(main())
