"""The bundles that are served, and the models that stand for their signatures."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kserve import ModelRepository

from export.serving.models import ServedBundle, ServedSignature
from export.serving.settings import Settings
from keras_seq.errors import UserError


class Repository(ModelRepository):
    """Every signature of every bundle, by BUNDLE.SIGNATURE; BUNDLE alone is its main one.

    Args:
        paths: The bundles by name.
        settings: The server's.
    """

    def __init__(self, paths: Mapping[str, Path], settings: Settings) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(settings.workers, thread_name_prefix="runtime")
        self.bundles: dict[str, ServedBundle] = {}
        for bundle_name, path in paths.items():
            bundle = ServedBundle(path, settings.threads_each)
            self.bundles[bundle_name] = bundle
            for signature in bundle.loaded.signatures:
                name = f"{bundle_name}.{signature}"
                model = ServedSignature(
                    name, bundle, signature, self._executor, settings.workers, settings.limits
                )
                self.update(model)
                if signature == bundle.main:
                    self.update(model, bundle_name)

    async def reload(self, say: Callable[[str], None]) -> None:
        """Opens every bundle anew; one that is damaged stays as it was open."""
        for name, bundle in self.bundles.items():
            try:
                await bundle.reload()
                say(f"{name} is opened anew.")
            except UserError as error:
                say(f"{name} stays as it was: {error}")

    async def load(self, name: str) -> bool:
        """Opens the bundle of a model anew, without losing a request."""
        await self.models[name].bundle.reload()
        return True
