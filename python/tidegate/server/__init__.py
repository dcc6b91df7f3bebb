"""The server: a runtime behind one HTTP port, or inside somebody's own ASGI service.

`serve` is what `tidegate serve` calls. `Server` is the same in a `with` block of a program or a
test. `mount` gives an ASGI application.
"""

from tidegate.server.access import Access, Rates
from tidegate.server.configuration import configured
from tidegate.server.control import control_app
from tidegate.server.deploy import Deploy
from tidegate.server.gate import Gate
from tidegate.server.mounted import TidegateApp, mount
from tidegate.server.process import Server, serve
from tidegate.server.replicas import Replicas
from tidegate.server.settings import Settings
from tidegate.server.tls import Tls
from tidegate.server.tracing import Tracing

__all__ = [
    "Access",
    "Deploy",
    "Gate",
    "Rates",
    "Replicas",
    "Server",
    "Settings",
    "TidegateApp",
    "Tls",
    "Tracing",
    "configured",
    "control_app",
    "mount",
    "serve",
]
