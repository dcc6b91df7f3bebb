"""Everything that is watched on one page: drift, quality, latency, incidents."""

from tidegate.monitoring.overview.document import ModelOverview, Overview, render

__all__ = ["ModelOverview", "Overview", "render"]
