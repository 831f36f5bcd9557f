"""Reading records: scan plans, readers, filters, decoders, export."""
