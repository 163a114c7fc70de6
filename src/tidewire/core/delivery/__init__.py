"""Delivery: which queues get the event of a notice, and in which form."""
