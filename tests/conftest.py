"""What every test starts from: the machine's own settings do not reach it."""

from __future__ import annotations

import os

import hypothesis

# Read before ONNX Runtime is loaded: tests leave nothing in the user's cache directory.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Settings of a developer's shell must not decide a test.
for _name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
    if not _name.startswith("TIDEGATE_TEST_"):
        del os.environ[_name]

# Tests share machines with other work: how long one example takes says nothing about the code.
hypothesis.settings.register_profile("tidegate", deadline=None)
hypothesis.settings.load_profile("tidegate")
