"""CRC-32C as Kafka's record batches use it, from the crc32c package's extension.

The package itself asks for its own version when it is imported, which costs 60 ms of every
process that starts; its extension module is loaded without that.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

from kafka_protocol.fields import Buffer


def _load() -> Callable[[Buffer], int]:
    package = find_spec("crc32c")
    folders = None if package is None else package.submodule_search_locations
    extension = PathFinder.find_spec("_crc32c", folders)
    if extension is None or extension.loader is None:
        import crc32c as whole

        return whole.crc32c
    module = module_from_spec(extension)
    extension.loader.exec_module(module)
    found: Callable[[Buffer], int] = module.crc32c
    return found


crc32c = _load()
"""The checksum of a buffer's bytes, 20 GB/s; takes views."""
