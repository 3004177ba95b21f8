"""Models whose signatures are described in a class of their own."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from keras_seq.signature import Signature
from keras_seq.typing import Arrays


class Exported:
    """Mixin: hands on what the exporter asks for; see `keras_seq.signature.Exportable`.

    Attributes:
        signatures_class: Takes the model; has `signatures`, `signature_inputs`, `random_inputs` and
            `limits`.
    """

    signatures_class: type

    @cached_property
    def _exported(self) -> Any:
        return self.signatures_class(self)

    def signatures(self, sizes: Mapping[str, int] | None = None) -> tuple[Signature, ...]:
        """The functions to export; see the model's `signatures_class`."""
        return self._exported.signatures(sizes)

    def signature_inputs(
        self, texts: Sequence[str | bytes], sizes: Mapping[str, int]
    ) -> dict[str, Arrays]:
        """For each signature, arrays by name made from `texts`, cut to `sizes`."""
        return self._exported.signature_inputs(texts, sizes)

    def random_inputs(self, count: int, seed: int, sizes: Mapping[str, int]) -> dict[str, Arrays]:
        """For each signature, `count` rows of random token ids."""
        return self._exported.random_inputs(count, seed, sizes)

    def limits(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The largest size of each dimension of a signature that has one."""
        return self._exported.limits(sizes)
