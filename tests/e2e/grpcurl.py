"""Runs the grpcurl commands of the documentation: reflection first, then the call.

No Python package contains grpcurl, so this module implements the three flags and two commands that
the documentation uses. Anything else is an error.
"""

import shlex
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def grpcurl(command: str, address: str, variables: Mapping[str, str]) -> Any:
    """What the command prints: names of services, or the response as JSON data.

    Args:
        address: what ``${SEP_URL#http://}`` stands for.
        variables: replacements for shell expressions.
    """
    program, *words = shlex.split(command)
    assert program == "grpcurl"
    data, metadata, plaintext, rest = "{}", [], False, list[str]()
    while words:
        word = words.pop(0)
        if word == "-plaintext":
            plaintext = True
        elif word == "-d":
            data = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            for expression, text in variables.items():
                value = value.replace(expression, text)
            metadata.append((name.lower(), value))
        else:
            assert not word.startswith("-"), f"unknown flag {word}"
            rest.append(word)
    assert plaintext
    where, what = rest
    assert where == "${SEP_URL#http://}"
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        if what == "list":
            return sorted(database.get_services())
        return _call(channel, database, what, data, metadata)


def _call(channel: Any, database: Any, what: str, data: str, metadata: Any) -> Any:
    pool = descriptor_pool.DescriptorPool(database)
    service, _, name = what.rpartition("/")
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request = json_format.Parse(data, message_factory.GetMessageClass(method.input_type)())
    response = message_factory.GetMessageClass(method.output_type)
    call = channel.unary_unary(f"/{what}", type(request).SerializeToString, response.FromString)
    return json_format.MessageToDict(call(request, metadata=metadata, timeout=20))
