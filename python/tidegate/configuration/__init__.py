"""Settings from a file, the environment and flags: where each value came from, and what it means.

A section is a frozen dataclass declared beside the code that reads it. This package reads any set of
such classes; which ones a server has is said in `tidegate.server.configuration`.
"""

from tidegate.configuration.reading import Configuration, Setting, read
from tidegate.configuration.reference import reference
from tidegate.configuration.section import Known, Section, known

__all__ = ["Configuration", "Known", "Section", "Setting", "known", "read", "reference"]
