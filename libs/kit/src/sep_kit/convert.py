"""Conversion of a session state, which several services return, to its protobuf message."""

from sep.market.v1 import market_pb2
from sep_fx.sessions import SessionState

# A market that never closes has its close at the end of representable time; such a close is unset.
_NO_CLOSE_S = 2**39


def session_message(state: SessionState, at: int) -> market_pb2.SessionState:
    """A session state; minutes to close are counted from ``at``, in seconds since the epoch."""
    message = market_pb2.SessionState(open=state.open, active=state.active)
    if state.closes_at is not None and state.closes_at < _NO_CLOSE_S:
        message.minutes_to_close = (state.closes_at - at) / 60
        message.closes_at_ms = state.closes_at * 1000
    if state.opens_at is not None:
        message.opens_at_ms = state.opens_at * 1000
    return message
