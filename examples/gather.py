"""Many asyncio tasks, one model: what is ready in one turn of the loop shares a batch."""

from __future__ import annotations

import asyncio
import random
import tempfile

from tidegate import Runtime
from tidegate.demo.tiny import tiny_bundle


async def main() -> None:
    """Asks for a thousand rows at once and counts the labels."""
    generator = random.Random(7)
    rows = [{"x": generator.gauss(0, 1), "colour": "blue"} for _ in range(1_000)]
    with tempfile.TemporaryDirectory() as folder, Runtime() as runtime:
        runtime.deploy(tiny_bundle(folder))
        answers = await asyncio.gather(*(runtime.apredict("tiny", row) for row in rows))
    print(sum(answer.label == 1 for answer in answers), "of", len(answers), "are accepted")


if __name__ == "__main__":
    asyncio.run(main())
