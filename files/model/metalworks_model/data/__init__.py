"""From invoices to purchases: generate, ingest, prepare."""
