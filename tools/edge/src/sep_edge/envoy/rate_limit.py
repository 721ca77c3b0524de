"""The limit on expensive reads: Envoy's own pages, candles, metrics.

A client that never reads would fill Envoy's memory with their responses, and one that asks for
nothing else would fill its time. Writes are limited in the services, after the key is checked.
"""

from sep_edge.envoy.filters import Json, typed

RATE_LIMIT = "envoy.filters.http.local_ratelimit"
RATE_LIMIT_TYPE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"


def read_limit(calls: int) -> Json:
    """A route's limit: so many calls in ten seconds for each client address."""
    everything = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    bucket = {"max_tokens": calls, "tokens_per_fill": calls, "fill_interval": "10s"}
    return typed(
        RATE_LIMIT_TYPE,
        stat_prefix="limit",
        filter_enabled=everything | {"runtime_key": "limit.enabled"},
        filter_enforced=everything | {"runtime_key": "limit.enforced"},
        # An entry without a value means a bucket for each address, of the last thousand.
        descriptors=[{"entries": [{"key": "remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=1000,
        always_consume_default_token_bucket=False,
        token_bucket=bucket | {"max_tokens": 10 * calls, "tokens_per_fill": 10 * calls},
        rate_limits=[{"actions": [{"remote_address": {}}]}],
        rate_limited_as_resource_exhausted=True,
    )
