"""Bundles, and the registry that they are published in and resolved from."""

from tidegate.registry.build import BuildOptions
from tidegate.registry.bundle import Bundle, Verification
from tidegate.registry.manifest import FileEntry, GoldenEntry, Manifest
from tidegate.registry.records import Alias, Listing, VersionRecord
from tidegate.registry.reference import Reference
from tidegate.registry.registry import Registry
from tidegate.registry.requirements import Requirements
from tidegate.registry.semver import SemanticVersion
from tidegate.registry.signing import Signature

__all__ = [
    "Alias",
    "BuildOptions",
    "Bundle",
    "FileEntry",
    "GoldenEntry",
    "Listing",
    "Manifest",
    "Reference",
    "Registry",
    "Requirements",
    "SemanticVersion",
    "Signature",
    "Verification",
    "VersionRecord",
]
