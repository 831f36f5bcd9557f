"""Record batches of format v2: headers and checksums (``batch``), single records
(``record``), compression, and building batches (``build``)."""
