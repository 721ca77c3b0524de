"""The edge of the SEP stack: Envoy's configuration and the API's document and page."""
