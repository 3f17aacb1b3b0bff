"""Set-up in small checkouts of their own: real environments, a real pip, and a package index that is a folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

NO_NETWORK = {
    "PIP_NO_INDEX": "0",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "1",
}

BACKEND = '''
"""Builds the small checkout's editable wheel without any build tool."""
import zipfile
from pathlib import Path

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        wheel.writestr("small.pth", str(Path.cwd()))
        wheel.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n")
        wheel.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("small-1.0.dist-info/RECORD", "")
    return name
'''

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1.0"
[tool.hatch]
"""


def write_wheel(directory: Path, name: str, version: str, files: Mapping[str, str]) -> str:
    """Write a wheel; return its line of a lock."""
    path = directory / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in files.items():
            wheel.writestr(inside, text)
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@dataclass(frozen=True)
class Checkout:
    """A checkout of one package, with the real `bootstrap.py`."""

    root: Path
    index: Path

    def run(self, *arguments: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run set-up; `before` is Python that runs in the same process first."""
        script = str(self.root / "platform" / "bootstrap.py")
        start = f"runpy.run_path({script!r}, run_name='__main__')"
        code = "\n".join(["import runpy, sys", f"sys.argv = {[script, *arguments]!r}", before, start])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "CIKG_"))}
        local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=inherited | local | environment,
        )

    def has(self, code: str) -> bool:
        """Whether the environment's Python runs `code` without an error."""
        python = self.root / ".venv" / "bin" / "python"
        return subprocess.run([python, "-c", code], cwd="/", capture_output=True, check=False).returncode == 0


def make_checkout(directory: Path) -> Checkout:
    root, index = directory / "checkout", directory / "index"
    (root / "platform").mkdir(parents=True)
    index.mkdir()
    (root / "platform" / "bootstrap.py").write_bytes((ROOT / "platform" / "bootstrap.py").read_bytes())
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "backend.py").write_text(BACKEND)
    # The package stands for all of the lock's, and brings the fetcher, and a rehearsal that fails.
    fetcher = "from pathlib import Path\nwith Path('fetched').open('a') as file:\n    file.write('x')\n"
    rehearsal = fetcher.replace("fetched", "rehearsed") + "raise SystemExit('there is no Java here')\n"
    files = {"cikg/__init__.py": "VALUE = 1\n", "cikg/embedded/__init__.py": ""}
    files |= {"cikg/embedded/fetch.py": fetcher, "cikg/embedded/rehearsal.py": rehearsal}
    line = write_wheel(index, "cikg", "1.0", files)
    (root / "requirements.lock").write_text(line)
    (root / "requirements-test.lock").write_text(line + write_wheel(index, "cikgtest", "1.0", {"cikgtest.py": ""}))
    return Checkout(root, index)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path)


def sentences(finished: subprocess.CompletedProcess[str]) -> str:
    """What a failed set-up said, without its remarks; proves exit code 2 and no traceback."""
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stdout + finished.stderr
    (said,) = [line for line in finished.stderr.splitlines() if line.startswith("cikg: ")]
    return said


@pytest.fixture(scope="module")
def finished_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = make_checkout(tmp_path_factory.mktemp("finished"))
    first = made.run()
    assert first.returncode == 0, first.stderr
    assert "there is no Java here" in first.stderr, "what fails there is told, and set-up goes on"
    return made


def test_sets_up_then_does_nothing_then_follows_a_changed_lock(finished_checkout: Checkout) -> None:
    checkout = finished_checkout
    assert checkout.has("import cikg, backend; assert cikg.VALUE == 1"), "the lock and the editable checkout"
    assert not checkout.has("import cikgtest")

    before = (checkout.root / ".venv" / "cikg-setup.json").stat().st_mtime_ns
    second = checkout.run(PIP_FIND_LINKS="/nowhere")
    assert (second.returncode, second.stderr) == (0, "")
    assert (checkout.root / ".venv" / "cikg-setup.json").stat().st_mtime_ns == before
    assert (checkout.root / "fetched").read_text() == "x", "fetched once"
    assert (checkout.root / "rehearsed").read_text() == "x", "and not tried again for nothing"

    options = checkout.root / "platform" / "cikg" / "embedded" / "java.py"
    options.parent.mkdir(parents=True)
    options.write_text("OPTIONS = ['-Xss2m']\n")
    assert checkout.run().returncode == 0
    assert (checkout.root / "rehearsed").read_text() == "xx", "other options ask for another rehearsal"
    assert (checkout.root / "fetched").read_text() == "x"

    changed = write_wheel(checkout.index, "cikg", "1.1", {"cikg/__init__.py": "VALUE = 2\n"})
    (checkout.root / "requirements.lock").write_text(changed)
    assert checkout.run().returncode == 0
    assert checkout.has("import cikg; assert cikg.VALUE == 2")
    assert (checkout.root / "fetched").read_text() == "x", "what did not change is not fetched again"


@pytest.mark.parametrize("take", [Path.rename, shutil.copytree], ids=["moved", "copied"])
def test_a_checkout_that_was_taken_elsewhere_is_set_up_anew(
    checkout: Checkout, tmp_path: Path, take: Callable[[Path, Path], object]
) -> None:
    assert checkout.run().returncode == 0
    elsewhere = Checkout(tmp_path / "else where", checkout.index)
    take(checkout.root, elsewhere.root)
    assert elsewhere.run().returncode == 0
    assert elsewhere.has(f"import backend; assert backend.__file__ == {str(elsewhere.root / 'backend.py')!r}")
    pip = (elsewhere.root / ".venv" / "bin" / "pip").read_text()
    assert str(elsewhere.root) in pip and str(checkout.root) not in pip
    again = elsewhere.run(PIP_FIND_LINKS="/nowhere")
    assert (again.returncode, again.stderr) == (0, ""), "once"


def test_interrupted_setup_is_redone_from_the_start(checkout: Checkout) -> None:
    half = checkout.root / ".venv" / "bin" / "python"
    killed = checkout.run(
        before=f"""
import os, pathlib, venv
def die(builder, directory):
    half = pathlib.Path({str(half)!r})
    half.parent.mkdir()
    half.write_text("half a Python")
    os._exit(9)
venv.EnvBuilder.create = die
"""
    )
    assert killed.returncode == 9
    assert half.read_text() == "half a Python"
    assert checkout.run().returncode == 0
    assert checkout.has("import cikg")


@pytest.mark.parametrize("order", ["SIGINT", "SIGTERM"])
def test_an_interruption_is_one_sentence(checkout: Checkout, order: str) -> None:
    send = f"import os, signal; os.kill(os.getpid(), signal.{order})"
    stopped = checkout.run(before=f"import venv\ndef stop(*a):\n    {send}\nvenv.EnvBuilder.create = stop")
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines()[-1] == "cikg: interrupted; `make setup` redoes what was under way"


def test_without_a_network(checkout: Checkout) -> None:
    finished = checkout.run(**NO_NETWORK)
    assert "the package index cannot be reached" in sentences(finished)
    assert not (checkout.root / ".venv").exists(), "nothing half done"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("network", "cannot be reached"), ("hash", "differs from the lock"), ("absent", "has no cikg")],
)
def test_a_failed_update_leaves_the_environment_as_it_was(
    finished_checkout: Checkout, broken: str, reason: str
) -> None:
    lock = write_wheel(finished_checkout.index, "cikg", f"2.{len(broken)}", {"cikg/__init__.py": "VALUE = 3\n"})
    (finished_checkout.root / "requirements.lock").write_text(lock)
    if broken == "hash":
        write_wheel(finished_checkout.index, "cikg", f"2.{len(broken)}", {"cikg/__init__.py": "VALUE = 666\n"})
    if broken == "absent":
        (finished_checkout.index / f"cikg-2.{len(broken)}-py3-none-any.whl").unlink()
    failed = finished_checkout.run(**(NO_NETWORK if broken == "network" else {}))
    assert reason in sentences(failed)
    assert finished_checkout.has("import cikg; assert cikg.VALUE in (1, 2)"), "whichever was there, not what failed"
    again = finished_checkout.run(**(NO_NETWORK if broken == "network" else {}))
    assert again.returncode == 2, "a failed update is not taken for a finished one"


def test_a_fetcher_that_fails_keeps_the_packages(finished_checkout: Checkout) -> None:
    failing = {
        "cikg/__init__.py": "",
        "cikg/embedded/__init__.py": "",
        "cikg/embedded/fetch.py": "import sys\nprint('cikg: no jars', file=sys.stderr)\nsys.exit(2)\n",
    }
    (finished_checkout.root / "requirements.lock").write_text(
        write_wheel(finished_checkout.index, "cikg", "3.0", failing)
    )
    said = sentences(finished_checkout.run(CIKG_CACHE="/another"))
    assert said == "cikg: no jars"
    marks = json.loads((finished_checkout.root / ".venv" / "cikg-setup.json").read_text())
    assert "/another" not in marks["downloads"]
    assert sentences(finished_checkout.run(CIKG_CACHE="/another")) == said, "tried again"


def test_an_interrupted_rehearsal_may_tidy_up_and_is_held_again(finished_checkout: Checkout) -> None:
    rehearsal = """
import time
from pathlib import Path
try:
    Path("begun").touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)
    Path("tidied").touch()
    raise SystemExit(130)
"""
    files = {"cikg/__init__.py": "", "cikg/embedded/__init__.py": "", "cikg/embedded/fetch.py": ""}
    lock = write_wheel(finished_checkout.index, "cikg", "4.0", {**files, "cikg/embedded/rehearsal.py": rehearsal})
    root = finished_checkout.root
    (root / "requirements.lock").write_text(lock)
    stopped = finished_checkout.run(
        before=f"""
import os, signal, threading, time
from pathlib import Path
def interrupt():
    while not Path({str(root / "begun")!r}).exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
"""
    )
    assert stopped.returncode == 130, stopped.stderr
    assert (root / "tidied").exists()
    assert "rehearsal" not in json.loads((root / ".venv" / "cikg-setup.json").read_text())


def test_an_environment_of_somebody_else_is_left_alone(checkout: Checkout) -> None:
    mine = checkout.root / ".venv" / "mine"
    mine.parent.mkdir()
    mine.write_text("precious")
    assert "was not made by `make setup`" in sentences(checkout.run())
    assert mine.read_text() == "precious"


def test_a_full_disk(checkout: Checkout) -> None:
    full = "import shutil, types; shutil.disk_usage = lambda path: types.SimpleNamespace(free=1_500_000_000)"
    assert "has 1.5 GB of free space, and the packages (mostly torch) need 8 GB" in sentences(checkout.run(before=full))
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_python_without_its_environments(checkout: Checkout, module: str) -> None:
    said = sentences(checkout.run(before=f"sys.modules[{module!r}] = None"))
    assert f"lacks {module}" in said
    assert "-venv)" in said
    assert not (checkout.root / ".venv").exists()


def test_a_python_that_is_too_old(checkout: Checkout) -> None:
    said = sentences(checkout.run(before="sys.version_info = (3, 10, 4, 'final', 0)", PATH="/nowhere"))
    assert said.startswith("cikg: Python 3.10 is too old and no newer one was found. Install Python 3.11")


def test_a_newer_python_is_found(checkout: Checkout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3.12").write_text("#!/bin/sh\nexit 127\n")  # a version manager's stand-in for one not installed
    (programs / "python3.11").write_text('#!/bin/sh\n[ "$1" = -c ] || echo "3.11 runs $*"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    finished = checkout.run("--test", before="sys.version_info = (3, 10, 4, 'final', 0)", PATH=str(programs))
    assert finished.stdout == f"3.11 runs {checkout.root}/platform/bootstrap.py --test\n"


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    specification = importlib.util.spec_from_file_location("bootstrap", ROOT / "platform" / "bootstrap.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


OTHERS = ["python3.12", "python3.11", "python3.13", "python3.14"]


@pytest.mark.parametrize(
    ("running", "better"), [((3, 9), OTHERS), ((3, 11), []), ((3, 13), []), ((3, 14), []), ((3, 15), OTHERS)]
)
def test_choice_of_python(bootstrap: ModuleType, running: tuple[int, int], better: list[str]) -> None:
    assert bootstrap.choose_python(running) == better


def test_pip_output_becomes_a_sentence(bootstrap: ModuleType) -> None:
    full = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    assert bootstrap.explain(full).startswith("the disk is full")
    assert "PIP_CERT" in bootstrap.explain("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))")
    assert bootstrap.explain("a\n\nsomething new").endswith("a\n  something new")
