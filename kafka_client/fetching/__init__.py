"""Reads records with Fetch requests of our own: a batch that cannot be read is passed with a mark,
whatever is wrong with it, and none unpacks to more than a bound (decision 0030).

``reader`` reads partitions from their leaders, ``segment`` makes records of what they send,
``skipping`` finds where a partition can be read again.
"""
