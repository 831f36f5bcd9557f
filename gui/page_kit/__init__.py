"""The parts that every page is built from: live data, page states, lists, details, status words."""
