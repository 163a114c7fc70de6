"""Tracing: spans from publish to acknowledgement, of notices that carry a W3C trace context.

A server that doesn't trace has the plain `Shard` and `Engine`, in which there is nothing of this. One that does has the
kinds of `tracing/traced_shard.py` and `tracing/traced_engine.py`, which see what passes; `tracing/traces.py` keeps the account of what is open, and knows
nothing of OpenTelemetry. Only `tracing/otel.py` does, and is imported when settings ask for it.
"""
