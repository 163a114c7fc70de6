"""What the routes take and give, as an OpenAPI 3.1 document, for machines and for the reference page.

Tables of data, beside the views and not in them; tests hold both to each other. `document` puts the tables together.
"""

from tidewire.http.openapi.document import document
from tidewire.http.openapi.rows import Access, Operation, Parameter, Schema

__all__ = ["Access", "Operation", "Parameter", "Schema", "document"]
