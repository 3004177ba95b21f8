"""Under what terms the public data sets are, for those who pass on what was made of them."""

LICENCES = {
    "multi30k": "CC BY-NC-SA 4.0",
    "tatoeba": "CC BY 2.0 FR",
}


def described(name: str) -> dict[str, str]:
    """A data set by its name, or the name of a file, with its licence where one is known."""
    return {"data": name} | ({"licence": LICENCES[name]} if name in LICENCES else {})
