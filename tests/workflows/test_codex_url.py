"""Codex pointed at a real gateway by its address."""

from __future__ import annotations

import json
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest
from chat_upstream import nobody_there, played, running
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.workflows.codex import write_codex_config
from sgcx.workflows.codex_url import EndpointChoice, plan_codex_config_for_url
from sgcx.workflows.gateway import GatewayOptions, prepare_gateway


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    return Paths(data=tmp_path / "data", state=tmp_path / "state", config=tmp_path / "config")


@contextmanager
def gateway(paths, **options):
    with played() as upstream:
        prepared = prepare_gateway(GatewayOptions(upstream=upstream.url, port=0, **options), paths)
        with running(prepared.app) as port:
            yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def answering(document):
    async def models(_):
        return JSONResponse(document)

    with running(Starlette(routes=[Route("/v1/models", models)])) as port:
        yield f"http://127.0.0.1:{port}/v1"


def written(paths, **choice):
    change = plan_codex_config_for_url(EndpointChoice(**choice), paths)
    write_codex_config(change, paths)
    profile = tomllib.loads((change.home / "sgcx.config.toml").read_text())
    return profile, json.loads(Path(profile["model_catalog_json"]).read_text())


def test_a_gateway_says_all_that_codex_needs(paths):
    with gateway(paths) as url:
        profile, catalog = written(paths, url=url.removesuffix("/v1"))
        assert plan_codex_config_for_url(EndpointChoice(url=url), paths).changes.files == ()
    provider = profile["model_providers"]["sgcx"]
    assert (profile["model"], provider["base_url"]) == ("m", url)
    assert provider["experimental_bearer_token"] == paths.api_key.read_text().strip()
    [entry] = catalog["models"]
    assert (entry["slug"], entry["context_window"]) == ("m", 1000)
    assert entry["base_instructions"]


def test_a_gateway_without_a_key_gets_none(paths):
    with gateway(paths) as keyed:
        written(paths, url=keyed)
    with gateway(paths, authentication=False) as url:
        profile, _ = written(paths, url=url)
    assert "experimental_bearer_token" not in profile["model_providers"]["sgcx"]


def test_another_machines_key_comes_from_a_private_file(paths, tmp_path):
    key_file = tmp_path / "key"
    with gateway(paths) as url:
        key_file.write_text(paths.api_key.read_text())
        key_file.chmod(0o644)
        with pytest.raises(UserError, match="can be read by others"):
            written(paths, url=url, key_file=key_file)
        key_file.chmod(0o600)
        profile, _ = written(paths, url=url, key_file=key_file)
        key_file.write_text("sk-wrong")
        with pytest.raises(UserError, match="wants a key"):
            written(paths, url=url, key_file=key_file)
    assert profile["model_providers"]["sgcx"]["experimental_bearer_token"]


@pytest.mark.parametrize("document", [{"object": "list", "data": []}, {"models": []}, {"models": [{}]}, []])
def test_a_server_without_a_catalog_is_none_of_ours(paths, document):
    with answering(document) as url, pytest.raises(UserError, match="has no catalog for Codex"):
        written(paths, url=url)


def test_of_several_models_one_is_named(paths):
    with answering({"models": [{"slug": "a"}, {"slug": "b"}]}) as url:
        with pytest.raises(UserError, match="serves a, b"):
            written(paths, url=url)
        with pytest.raises(UserError, match="serves a, b"):
            written(paths, url=url, model="c")
        assert written(paths, url=url, model="b")[0]["model"] == "b"


def test_an_address_where_nobody_listens(paths):
    with nobody_there() as url, pytest.raises(UserError, match="does not answer"):
        written(paths, url=url)
    with pytest.raises(UserError, match="--url 'gateway' is no URL"):
        written(paths, url="gateway")
