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

# Special offsets and versions of Kafka's protocol, complete for the reader's sake.
MAX_TIMESTAMP
EARLIEST_LOCAL

# Set for other code: an attribute that ``logging`` reads, one that the codec reads by name.
_.default_msec_format
_._field_type

# Kafka's protocol as types: named in annotations of the generated messages only.
Message
FLOAT64

# Tokens of the theme: named by the style sheet and by ``theme.color("...")``.
GRID
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
warn
warn_soft
bad_soft
TONES

# Public operations of an embedded cluster, called through a name that a person chose.
_.stop_broker

# A dataclass's field that SQLite's row fills by position.
entry_id

# Read by tests alone: how often a chart was painted, what its badge says.
_.paintings
_.drawings
_.live_words

# Overrides whose parameter names belong to pyqtgraph.
spacing

# Units that complete the table of units of charts.
BYTES_PER_S
MILLISECONDS

# Dead, and soon to be removed by who works there.
_.leader_epoch_if_leader
_.exit_reason
_.lost_batches
embedded_only
_.show_badge
_.reopen
capitalised
first_at_or_after
_.update_rows
_.visible_rows
_.run_in
BY_TOPIC
BLANK
_.choose_topic
_._back_shortcuts
emitted
principal
labels
_.focused
