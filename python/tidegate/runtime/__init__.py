"""The embedded runtime: predictions inside your own process, without a server or a port."""

from tidegate._core import Prediction, Predictions
from tidegate.runtime.options import Deployment, Options
from tidegate.runtime.runtime import Runtime

__all__ = ["Deployment", "Options", "Prediction", "Predictions", "Runtime"]
