"""Starts the real Triton that the package nvidia-pytriton carries, and becomes it.

Runs in an environment with that package, with nothing but the standard library. The Python backend
wants three things: the stub of the running Python beside it, that Python's packages through the
first `python3` of the path, and the libraries where the loader finds them.

    python launch.py FOLDER [FLAGS OF tritonserver]
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path


def launch(folder: Path, flags: Sequence[str]) -> None:
    """Replaces this process by the server.

    Args:
        folder: Takes a copy of the backend, since the environment stays as it was installed.
        flags: Flags of `tritonserver`.
    """
    site = Path(sysconfig.get_path("purelib"))
    package = site / "pytriton" / "tritonserver"
    backends = folder / "backends"
    shutil.copytree(package / "backends" / "python", backends / "python")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for stub in (package / "python_backend_stubs" / version).iterdir():
        shutil.copy(stub, backends / "python")
    libraries = [
        str(site / "nvidia_pytriton.libs"),
        sysconfig.get_config_var("LIBDIR"),
        os.environ.get("LD_LIBRARY_PATH", ""),
    ]
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["LD_LIBRARY_PATH"] = ":".join(libraries)
    program = str(package / "bin" / "tritonserver")
    os.execv(program, [program, f"--backend-directory={backends}", *flags])


if __name__ == "__main__":
    launch(Path(sys.argv[1]), sys.argv[2:])
