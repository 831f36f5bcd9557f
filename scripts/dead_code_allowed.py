# ruff: noqa: F821, B018
"""Names that `make dead` (vulture) calls unused although they are not, each with its reason.

Read by vulture, never run. Keep it short: what is really unused goes.
"""

# Fields of a response: written by the broker, read by the encoder through the declarations.
_.log_append_time_ms
_.topic_authorized_operations
_.cluster_authorized_operations
_.authorized_operations
_.supported_features
_.finalized_features
_.finalized_features_epoch
_.last_fetch_timestamp
_.last_caught_up_timestamp

# Fields of a metadata record, in the order of Kafka's own: encoded and decoded by position.
is_migrating_zk_broker
granting_voters

# Set for other code: an attribute that ``logging`` reads, one that the codec reads by name.
_.default_msec_format
_._field_type

# A type of Kafka's protocol: used by the messages that have a field of it, once they are generated.
FLOAT64

# Tokens of the theme: named by the style sheet and by ``theme.color("...")``.
surface
raised
sunken
text_muted
text_faint
accent
accent_hover
accent_soft
on_accent
hover
ok_soft
warn_soft
bad_soft
TONES

# Read by tests alone: how often a chart was painted, what its badge says.
_.paintings
_.drawings
_.live_words

# The one of a row of constants that the code reaches by being the default.
BY_TOPIC
BLANK

# Read by tests alone: who a request comes from, what is sampled first.
principal
_.focused
