"""Hostile requests of every API and version against live broker processes (see ``__main__``)."""
