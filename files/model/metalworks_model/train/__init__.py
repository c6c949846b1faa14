"""The models: EASE with recency, its blend with frequency, baselines, anomalies of invoice lines."""
