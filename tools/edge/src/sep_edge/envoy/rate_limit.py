"""The limit on Envoy's own pages, whose responses are large and need no service.

Writes are limited in the services, after the key has been checked.
"""

from sep_edge.envoy.filters import Json, typed

RATE_LIMIT = "envoy.filters.http.local_ratelimit"
RATE_LIMIT_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
PAGES = 50
"""Pages that a client address may get in ten seconds."""


def page_limit() -> Json:
    """A route's limit: so many calls in ten seconds for each client address."""
    everything = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": PAGES, "tokens_per_fill": PAGES, "fill_interval": "10s"}
    return typed(
        RATE_LIMIT_TYPE,
        stat_prefix="limit",
        filter_enabled=everything | {"runtime_key": "limit.enabled"},
        filter_enforced=everything | {"runtime_key": "limit.enforced"},
        # An entry without a value means a bucket for each address, of the last thousand.
        descriptors=[{"entries": [{"key": "remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=1000,
        always_consume_default_token_bucket=False,
        token_bucket=bucket | {"max_tokens": 20 * PAGES, "tokens_per_fill": 20 * PAGES},
        rate_limits=[{"actions": [{"remote_address": {}}]}],
    )
