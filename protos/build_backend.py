"""PEP 517 build backend: setuptools, after generating the code that is packaged."""

from collections.abc import Callable
from typing import Any

from setuptools import build_meta

import generate

get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist


def _generated(build: Callable[..., str]) -> Callable[..., str]:
    def run(*args: Any, **kwargs: Any) -> str:
        generate.main()
        return build(*args, **kwargs)

    return run


build_wheel = _generated(build_meta.build_wheel)
build_editable = _generated(build_meta.build_editable)
build_sdist = _generated(build_meta.build_sdist)
prepare_metadata_for_build_wheel = _generated(build_meta.prepare_metadata_for_build_wheel)
prepare_metadata_for_build_editable = _generated(build_meta.prepare_metadata_for_build_editable)
