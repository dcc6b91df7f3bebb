"""Does somebody whom we trust vouch for the bundle?"""

from __future__ import annotations

from typing import Final

from tidegate.check.context import Context
from tidegate.check.result import Result, failed, passed, skipped, warned
from tidegate.errors import IntegrityError
from tidegate.registry.signing import read_public_key, verify_digest

__all__ = ["NAME", "check"]

NAME: Final = "signature"


def check(context: Context) -> Result:
    """Holds the bundle's signatures against the key that is given."""
    signatures, key = context.request.signatures, context.request.key
    if key is None:
        if not signatures:
            return skipped(
                NAME, "nobody has signed the bundle, and no key was given to ask for: give --key"
            )
        keys = ", ".join(sorted({signature.key[:19] for signature in signatures}))
        return warned(
            NAME, f"signed by {keys}, and no key was given to hold that against: give --key"
        )
    if not signatures:
        return failed(NAME, f"nobody has signed {context.candidate.digest}: tidegate registry sign")
    public = read_public_key(key)
    refused: list[str] = []
    for signature in signatures:
        try:
            verify_digest(context.candidate.digest, signature, public)
        except IntegrityError as error:
            refused.append(str(error))
        else:
            return passed(NAME, f"signed on {signature.created} by key {signature.key}")
    return failed(NAME, refused[-1])
