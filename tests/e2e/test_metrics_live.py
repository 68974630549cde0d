"""/metrics, `sgcx top` and `sgcx bench` on the real engine; dashboard and alerts ask only for what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import yaml

from sgcx.http.authentication import OPEN_PATHS
from sgcx.server.scraping import read_exposition

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
_METRIC = re.compile(r"\b(?:sgcx_|sglang:)[a-z_]+")


def scraped(rehearsal):
    with rehearsal.client() as client:
        root = rehearsal.result["base_url"].removesuffix("/v1")
        return read_exposition(client.get(f"{root}/metrics").raise_for_status().text, at_s=0.0)


def answer(rehearsal):
    with rehearsal.client() as client:
        body = {"model": "rehearsal", "input": "hello", "store": False}
        return client.post("/responses", json=body).raise_for_status().json()["usage"]


def dashboard_queries():
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*queries, *(each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query")]


def alert_rules():
    return [
        rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]


def test_one_page_has_the_engines_metrics_and_ours(rehearsal):
    before = scraped(rehearsal)
    usage = answer(rehearsal)
    now = scraped(rehearsal)
    for name, tokens in (("input", usage["input_tokens"]), ("output", usage["output_tokens"])):
        assert now.total(f"sgcx_{name}_tokens_total") - before.total(f"sgcx_{name}_tokens_total") == tokens
    assert now.total("sglang:max_total_num_tokens") > 0


def test_probes_need_no_key_and_metrics_do(rehearsal):
    root = rehearsal.result["base_url"].removesuffix("/v1")
    with httpx.Client(base_url=root, timeout=60, trust_env=False) as client:
        statuses = {path: client.get(path).status_code for path in (*OPEN_PATHS, "/metrics")}
    assert statuses == dict.fromkeys(OPEN_PATHS, 200) | {"/metrics": 401}


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(rehearsal):
    answer(rehearsal)
    there = set(scraped(rehearsal).samples)
    asked = {
        name
        for query in (*dashboard_queries(), *(rule["expr"] for rule in alert_rules()))
        for name in _METRIC.findall(query)
    }
    assert len(asked) > 15
    assert asked - there == set()


def test_every_alert_says_how_long_how_bad_and_what_to_do():
    for rule in alert_rules():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_top_and_bench_see_the_server(rehearsal):
    answer(rehearsal)
    top = rehearsal.machine.sgcx("top", "--once", "--json", "--interval", "0.2")
    (server,) = [each for each in json.loads(top.stdout)["servers"] if each["name"] == "rehearsal"]
    assert (server["problem"], server["state"]) == (None, "RUNNING")
    assert server["first_token_p50_s"] > 0
    done = rehearsal.machine.sgcx(
        "bench", "rehearsal", "--streams", "1,2", "--prefix", "300", "--turns", "2", "--output", "16", "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["failures"] for row in report["rows"]] == [0, 0]
    assert report["reuse"]["cached_tokens"] > 0
    assert json.loads((rehearsal.log.parent / "bench.json").read_text()) == report
