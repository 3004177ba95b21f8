"""The bundles that are served, and a model for each of their signatures."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from kserve import ModelRepository
from kserve.errors import ModelNotFound, ModelNotReady
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from export.serving.budget import Budget
from export.serving.models import ServedBundle, ServedSignature
from export.serving.settings import Settings
from export.serving.workers import Workers
from keras_seq.errors import UserError

log = logging.getLogger("keras_seq")


class Repository(ModelRepository):
    """Every signature of every bundle, by BUNDLE.SIGNATURE; BUNDLE alone is its main one.

    Args:
        paths: The bundles by name.
        settings: The server's.

    Attributes:
        workers: Threads that run the runtime.
        budget: Memory of all requests.
        limits: What one request may ask for.
        bundles: The bundles by name.
    """

    def __init__(self, paths: Mapping[str, Path], settings: Settings) -> None:
        super().__init__()
        self.workers = Workers(settings.workers)
        self.budget = Budget(settings.max_memory)
        self.limits = settings.limits
        self.bundles: dict[str, ServedBundle] = {}
        for bundle_name, path in paths.items():
            bundle = ServedBundle(path, settings.threads_each, settings.cache_dir)
            self.bundles[bundle_name] = bundle
            for signature in bundle.loaded.signatures:
                name = f"{bundle_name}.{signature}"
                model = ServedSignature(
                    name, bundle, signature, self.workers, self.budget, settings.limits
                )
                self._add(name, model)
                if signature == bundle.main:
                    self._add(bundle_name, model)

    def _add(self, name: str, model: ServedSignature) -> None:
        if name in self.models:
            raise UserError(f"Two models would be called {name}. Give a bundle another name.")
        self.update(model, name)

    def list_models(self) -> list[dict[str, str]]:
        """Returns the models as the protocol's index of a repository has them."""
        return [
            {"name": name, "version": "", "state": "READY", "reason": ""} for name in self.models
        ]

    def stop(self) -> None:
        """Ends all calls of the runtime, and refuses what waits for one."""
        for model in self.models.values():
            model.stop()
        self.workers.close()

    async def reload(self, say: Callable[[str], None]) -> None:
        """Opens every bundle again; a damaged one keeps its old files."""
        for name, bundle in self.bundles.items():
            try:
                await bundle.reload()
                say(f"{name} is reloaded.")
            except UserError as error:
                say(f"{name} stays as it was: {error}")
            except Exception as error:  # The next ones are still opened.
                log.error("%s stays as it was", name, exc_info=error)

    async def load(self, name: str) -> bool:
        """Opens the bundle of a model again, without losing a request.

        Raises:
            ModelNotFound: If there is no such model.
            ModelNotReady: If the bundle is damaged, or another model.
        """
        if name not in self.models:
            raise ModelNotFound(name)
        try:
            await self.models[name].bundle.reload()
        except UserError as error:
            raise ModelNotReady(name, str(error)) from error
        return True

    def unload(self, name: str) -> None:
        """Refuses to unload a model.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{name} is served until the server stops. Start the server with the bundles you want."
        )


class ReloadExtension(ModelRepositoryExtension):
    """kserve's routes to the repository, with the repository's own errors.

    Args:
        repository: The models.
    """

    def __init__(self, repository: Repository) -> None:
        super().__init__(model_registry=repository)
        self._repository = repository

    async def load(self, model_name: str) -> None:
        """Opens a bundle again."""
        await self._repository.load(model_name)
