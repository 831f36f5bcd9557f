"""The APIs of a broker: which versions it supports (``versions``), the function that
handles each (``handlers``), and who may call them (``router``).

The files ``kNN_*`` handle the APIs of the data plane and of groups, one file per API
key, headed by its behaviour and version notes. The controller and the quorum handle
theirs in their own packages.
"""

from embedded_broker.core.api.versions import AUTHENTICATION, TABLE, Api, unsupported

__all__ = ["AUTHENTICATION", "TABLE", "Api", "unsupported"]
