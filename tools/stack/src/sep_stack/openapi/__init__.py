"""The REST surface as an OpenAPI 3.1 document and a page to read, made from the contract."""
