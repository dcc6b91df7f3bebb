"""The embedded runtime: predictions inside your own process, without a server or a port."""

from tidegate._core import Prediction, Predictions
from tidegate.runtime.options import Arm, Deployment, Options
from tidegate.runtime.runtime import Runtime

__all__ = ["Arm", "Deployment", "Options", "Prediction", "Predictions", "Runtime"]
