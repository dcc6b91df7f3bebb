"""Incidents: what was known when rules fired, what was done, and the review of it."""

from tidegate.monitoring.incidents.book import Book
from tidegate.monitoring.incidents.causes import Cause, ranked
from tidegate.monitoring.incidents.review import review

__all__ = ["Book", "Cause", "ranked", "review"]
