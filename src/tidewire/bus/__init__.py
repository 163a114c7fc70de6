"""The bus adapter for RabbitMQ: notices in, notifications out."""
