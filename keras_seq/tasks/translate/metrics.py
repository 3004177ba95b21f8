"""BLEU, chrF and exact matches of translations."""

from collections.abc import Sequence
from typing import Any

# Languages written without spaces, which BLEU has tokenizers of its own for.
BLEU_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char"}


def translation_metrics(
    translations: Sequence[str], references: Sequence[str], language: str = ""
) -> dict[str, Any]:
    """Scores translations, each with one reference, as sacrebleu does.

    BLEU: Papineni et al. 2002; chrF: Popović 2015; sacrebleu: Post 2018.

    Args:
        translations: The translations.
        references: The references, in the same order.
        language: The language of both.

    Returns:
        "bleu", and "bleu_lowercase" of lower-cased texts, from 0 to 100, with the "signature" of
        the first; "chrf", from 0 to 100; "exact", the share of translations that are the reference;
        "examples".
    """
    from sacrebleu.metrics import BLEU, CHRF

    tokenizer = BLEU_TOKENIZERS.get(language, "13a")
    streams = [list(references)]
    bleu = BLEU(tokenize=tokenizer)
    lowercase = BLEU(tokenize=tokenizer, lowercase=True)
    exact = sum(a == b for a, b in zip(translations, references, strict=True))
    return {
        "bleu": bleu.corpus_score(translations, streams).score,
        "bleu_lowercase": lowercase.corpus_score(translations, streams).score,
        "chrf": CHRF().corpus_score(translations, streams).score,
        "exact": exact / len(references),
        "examples": len(references),
        "signature": str(bleu.get_signature()),
    }
