"""AMQP as the bus and the publisher use it. Only `broker` and `confirms` need the client library."""
