"""Who is let in, and how often: the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.errors import ConfigurationError

__all__ = ["ALGORITHMS", "Access", "Rates"]

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""The signatures of tokens that can be allowed."""

LONGEST_LEEWAY: Final = 600
"""Clocks that differ by more than ten minutes are broken."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in. Without `keys` and `jwks` everybody is, and the server listens on loopback only.

    Attributes:
        keys: File of API keys, written by `tidegate keys`.
        jwks: JSON Web Key Set whose keys sign tokens: a file, or an `https` address.
        issuer: Who must have issued a token (`iss`).
        audience: Whom a token must be meant for (`aud`).
        algorithms: Signatures that are allowed.
        claim: The claim that holds a caller's grants, such as `["predictor:flight-*"]`.
        leeway: Seconds by which the issuer's clock may differ.
        refresh: Seconds between two fetches of an address in `jwks`.
        refetch: Seconds before a token with an unknown key makes the server fetch again.
        allow_anonymous: Listen on other addresses than loopback although everybody is let in.

    Raises:
        ConfigurationError: If tokens have no issuer or audience, or a time is out of range.

    Example:
        >>> Access(jwks="https://login.example.org/jwks.json")
        Traceback (most recent call last):
        ...
        tidegate.errors.ConfigurationError: jwks needs issuer and audience: tokens for other services would be taken otherwise
    """

    keys: str | None = None
    jwks: str | None = None
    issuer: str | None = None
    audience: str | None = None
    algorithms: tuple[str, ...] = ALGORITHMS
    claim: str = "tidegate"
    leeway: int = 30
    refresh: float = 300.0
    refetch: float = 10.0
    allow_anonymous: bool = False

    def __post_init__(self) -> None:
        if self.jwks is not None and not (self.issuer and self.audience):
            raise ConfigurationError(
                "jwks needs issuer and audience: tokens for other services would be taken otherwise"
            )
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            raise ConfigurationError(
                f"algorithms is {list(self.algorithms)}: choose from {', '.join(ALGORITHMS)}"
            )
        if not 0 <= self.leeway <= LONGEST_LEEWAY:
            raise ConfigurationError(
                f"leeway is {self.leeway}: give seconds from 0 to {LONGEST_LEEWAY}"
            )
        for name, seconds in (("refresh", self.refresh), ("refetch", self.refetch)):
            if not 0 < seconds < float("inf"):
                raise ConfigurationError(f"{name} is {seconds}: give seconds above 0")


@dataclass(frozen=True, slots=True)
class Rates:
    """How often. A rate such as `100/s`, `6000/m` or `10000/h` is the burst too.

    Attributes:
        caller: Requests of each caller; of each address where nobody has to say who they are.
        model: Predictions by each model, whoever asks.
        caller_and_model: Predictions of each caller by each model.

    Example:
        >>> Rates(caller="100/s").model
    """

    caller: str | None = None
    model: str | None = None
    caller_and_model: str | None = None
