"""The API is what /openapi.json says: Schemathesis sends what is described and what is not, and checks the answers.

A few requests each in `make test`; PALATE_API_EXAMPLES=1000 sends more.
"""

import os
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from helpers.serve_process import Server
from palate.serving.routes import ENDPOINTS

schemathesis = pytest.importorskip("schemathesis", reason="needs requirements/dev.txt")
openapi = pytest.importorskip("schemathesis.specs.openapi.checks")

EXAMPLES = int(os.environ.get("PALATE_API_EXAMPLES", "3"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.unsupported_method,
]
LONG = ["/admin/fit", "/metrics"]  # the first takes minutes, the second is a text of Prometheus
KNOWN = {"user": ["u1", "u3", "nobody"], "item": ["i1", "i4", "nothing"]}


@pytest.fixture(scope="module", params=["ratings", "likes"])
def server(request, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "m.palate").write_bytes(files[request.param].read_bytes())
    (folder / "scenarios.toml").write_text("[scenario.home]\nn = 3\n")
    running = Server("m.palate", "--scenarios", "scenarios.toml", cwd=folder)
    yield running
    running.kill()
    assert "request failed" not in running.log, running.log[-5000:]


@pytest.fixture(scope="module")
def api(server):
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_the_description_is_valid(api):
    api.validate()
    assert api.raw_schema["openapi"] == "3.1.0"
    operations = [operation for path in api.raw_schema["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"].endswith(".") for operation in operations)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.path not in LONG], ids=lambda one: one.path)
def test_every_answer_is_as_described(api, server, endpoint, mode):
    operation = api[endpoint.path][endpoint.method]
    mode = schemathesis.GenerationMode(mode)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES < 100,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def hold(case):
        for name in case.path_parameters or {}:
            known = KNOWN[name]
            at = zlib.crc32(repr(case.path_parameters[name]).encode()) % 6
            if at < len(known):  # else what was made up
                case.path_parameters[name] = known[at]
        answer = case.call(headers=server.admin)
        if answer.text != "Invalid HTTP request received.":  # an address that is too long for uvicorn
            case.validate_response(answer, checks=CHECKS, headers=server.admin)

    try:
        hold()
    except Unsatisfiable:
        assert mode == schemathesis.GenerationMode.NEGATIVE  # nothing can be wrong in a request without parts
