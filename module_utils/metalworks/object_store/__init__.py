"""The object store: who has which rights in which bucket, S3 clients, what stands in the way of it.

Runs on the operator's computer.
"""
