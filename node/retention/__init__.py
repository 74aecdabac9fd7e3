"""What is kept no longer: delivered and confirmed results with what they were made of, and what no route took."""

from node.retention.retention import Purged, Retention

__all__ = ["Purged", "Retention"]
