"""The REST API as an OpenAPI 3.1 document and an HTML page, generated from the contract."""
