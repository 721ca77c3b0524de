"""The methods that both clients have."""

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from sep_client import calls, journal_calls, parameter_calls
from sep_client.call import Call

P = ParamSpec("P")
T = TypeVar("T")


class Sender:
    """Sends calls and waits for the responses."""

    def send(self, call: Call[T]) -> T:
        """The response to a call."""
        raise NotImplementedError


class AsyncSender:
    """Sends calls without blocking the event loop."""

    async def send(self, call: Call[T]) -> T:
        """The response to a call."""
        raise NotImplementedError


class Endpoint(Generic[P, T]):
    """A method that sends the call that a function of ``calls`` returns, with its parameters.

    In a client it returns the response, in an asynchronous client a coroutine of it.
    """

    def __init__(self, make_call: Callable[P, Call[T]]) -> None:
        self._make_call = make_call
        self.__doc__ = make_call.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: Sender, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._make_call(*args, **kwargs))

        return update_wrapper(method, self._make_call)


class Endpoints:
    """A method for each call; ``calls`` and ``parameter_calls`` document them."""

    health = Endpoint(calls.health)
    status = Endpoint(calls.status)
    settings = Endpoint(calls.settings)
    pairs = Endpoint(calls.pairs)
    ranking = Endpoint(calls.ranking)
    allocation_status = Endpoint(calls.allocation_status)
    budget = Endpoint(calls.budget)
    readiness = Endpoint(calls.readiness)
    risk_limits = Endpoint(calls.risk_limits)
    locks = Endpoint(calls.locks)
    kill_switch = Endpoint(calls.kill_switch)
    manifold_coeffs = Endpoint(calls.manifold_coeffs)
    coherence = Endpoint(calls.coherence)
    candles = Endpoint(calls.candles)
    account = Endpoint(calls.account)
    positions = Endpoint(calls.positions)
    open_trades = Endpoint(calls.open_trades)
    instruments = Endpoint(calls.instruments)
    pricing = Endpoint(calls.pricing)
    journal_transactions = Endpoint(calls.journal_transactions)
    journal_trades = Endpoint(calls.journal_trades)
    performance = Endpoint(calls.performance)
    costs = Endpoint(calls.costs)
    divergence = Endpoint(journal_calls.divergence)
    decisions = Endpoint(calls.decisions)
    decision = Endpoint(calls.decision)
    parameters = Endpoint(parameter_calls.parameters)
    parameter_changes = Endpoint(parameter_calls.parameter_changes)
    metrics = Endpoint(calls.metrics)
    reconcile = Endpoint(calls.reconcile)
    set_kill_switch = Endpoint(calls.set_kill_switch)
    fetch_candles = Endpoint(calls.fetch_candles)
    set_lock = Endpoint(calls.set_lock)
    test_notifications = Endpoint(calls.test_notifications)
    promote_parameters = Endpoint(parameter_calls.promote_parameters)
    roll_back_parameters = Endpoint(parameter_calls.roll_back_parameters)
    flatten = Endpoint(calls.flatten)
    plan_drain = Endpoint(calls.plan_drain)
    execute_drain = Endpoint(calls.execute_drain)
