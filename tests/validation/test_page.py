"""The examples of the page of documentation run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    text = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    (tmp_path / "page.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shown = re.search(r"```\n(failed: .*?)\n```", text)
    assert shown is not None
    # The whole and its pieces say the same, and it is what the page shows.
    assert done.stdout.splitlines() == [shown[1], shown[1], "['x', 'colour']"]
    assert (tmp_path / "rules.json").is_file()
