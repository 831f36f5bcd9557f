"""Kafka as the application sees it: connect, sample, browse, change. asyncio, no Qt.

The loggers of this package write where the application installs a handler, and nowhere without
one: a command such as ``kafkarium lag`` reports errors itself.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
