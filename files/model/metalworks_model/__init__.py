"""A recommender, from invoices to answers: ingest, prepare, train, evaluate, serve, shop, watch."""

__version__ = "1.0.0"
