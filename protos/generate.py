"""Generates everything that is derived from the contract: ``python protos/generate.py``.

Written to ``protos/gen``, which is never committed:

- ``sep/``: messages, gRPC stubs and type stubs of ``protos/sep``;
- ``buf/validate/``: the validation options, from the descriptor that protovalidate ships;
- ``sep_protos/contract.binpb``: one descriptor set of the contract with all imports and comments,
  read by ``sep_contract`` and by Envoy's transcoder.

Building the package ``sep-protos`` runs this too; see ``build_backend.py``.
"""

import importlib.resources
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import google.api
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

HERE = Path(__file__).parent
GEN = HERE / "gen"


def main() -> None:
    """Generate everything anew.

    Raises:
        SystemExit: protoc failed; its message is on stderr.
    """
    shutil.rmtree(GEN, ignore_errors=True)
    contract = GEN / "sep_protos"
    contract.mkdir(parents=True)
    googleapis = Path(next(iter(google.api.__path__))).parents[1]
    wellknown = importlib.resources.files("grpc_tools") / "_proto"
    includes = [f"-I{HERE}", f"-I{googleapis}", f"-I{wellknown}"]

    validate_set = GEN / "validate.binpb"
    _write_validate_set(validate_set, includes)
    _protoc(
        f"--descriptor_set_in={validate_set}",
        f"--python_out={GEN}",
        f"--mypy_out=quiet:{GEN}",
        "buf/validate/validate.proto",
    )

    files = sorted(str(p.relative_to(HERE)) for p in (HERE / "sep").rglob("*.proto"))
    # Envoy prints the details of an error only if the descriptor set contains their types.
    files_and_details = [*files, "google/rpc/error_details.proto", "google/rpc/status.proto"]
    common = [*includes, f"--descriptor_set_in={validate_set}"]
    # Both -I and --descriptor_set_in: validate.proto exists only in the set, ours only as files.
    _protoc(
        *common,
        f"--python_out={GEN}",
        f"--grpc_python_out={GEN}",
        f"--mypy_out=quiet:{GEN}",
        f"--mypy_grpc_out=quiet:{GEN}",
        *files,
    )
    _protoc(
        *common,
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={contract / 'contract.binpb'}",
        *files_and_details,
    )
    validate_set.unlink()
    (contract / "__init__.py").write_text(_CONTRACT_MODULE)
    for marker in (contract, GEN / "sep", GEN / "buf"):
        (marker / "py.typed").touch()


def _write_validate_set(path: Path, includes: list[str]) -> None:
    """Write a descriptor set of validate.proto, which protovalidate ships as a descriptor only."""
    wellknown = path.with_name("wellknown.binpb")
    _protoc(
        *includes,
        "--include_imports",
        f"--descriptor_set_out={wellknown}",
        "google/protobuf/descriptor.proto",
        "google/protobuf/duration.proto",
        "google/protobuf/field_mask.proto",
        "google/protobuf/timestamp.proto",
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(wellknown.read_bytes())
    files.file.add().ParseFromString(validate_pb._DESC.proto.to_binary())
    path.write_bytes(files.SerializeToString())
    wellknown.unlink()


def _protoc(*args: str) -> None:
    # Also look for the plugins beside this Python: its virtual environment may not be activated.
    path = os.pathsep.join((os.environ.get("PATH", ""), sysconfig.get_path("scripts")))
    plugins = [
        f"--plugin={name}={found}"
        for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
        if (found := shutil.which(name, path=path))
    ]
    if code := protoc.main(["protoc", *plugins, *args]):
        sys.exit(code)


_CONTRACT_MODULE = '''"""The contract as one descriptor set."""

from pathlib import Path

DESCRIPTOR_SET = Path(__file__).parent / "contract.binpb"
"""A serialized FileDescriptorSet with all imports and comments."""
'''


if __name__ == "__main__":
    main()
