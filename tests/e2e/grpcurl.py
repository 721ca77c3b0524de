"""What grpcurl does with the words that our documents give it: reflection first, then the call.

grpcurl itself comes in no package that a test could install, so its three flags and two commands
are read here; anything else in a document is an error.
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
    """What the command prints: names of services, or the answer as JSON data.

    Args:
        address: takes the place of the document's ``localhost:8000``.
        variables: what the shell would put in, by the words that stand for it.
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
            for words_for, text in variables.items():
                value = value.replace(words_for, text)
            metadata.append((name.lower(), value))
        else:
            assert not word.startswith("-"), f"no test knows {word}"
            rest.append(word)
    assert plaintext
    where, what = rest
    assert where == "localhost:8000"
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
    answer = message_factory.GetMessageClass(method.output_type)
    call = channel.unary_unary(f"/{what}", type(request).SerializeToString, answer.FromString)
    return json_format.MessageToDict(call(request, metadata=metadata, timeout=20))
