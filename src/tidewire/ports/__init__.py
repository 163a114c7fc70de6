"""What the server asks of the outside, as Protocols. Adapters satisfy them and never import each other."""
