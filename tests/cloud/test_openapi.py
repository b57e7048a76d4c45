"""The node's OpenAPI document says everything a client needs."""

from pathlib import Path
from typing import Any

import pytest

from cloud_service.app import create_app
from cloud_service.settings import CloudSettings
from shared.problems import MEDIA_TYPE

Operation = tuple[str, str, dict[str, Any]]
METHODS = ("get", "head", "post", "put", "patch", "delete")


@pytest.fixture(scope="session")
def document(secrets_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    keys = {name: (secrets_folder / name).read_text() for name in ("node_key", "vps_public_key")}
    folder = tmp_path_factory.mktemp("documented")
    return create_app(CloudSettings.model_validate({"environment": "local", "data_dir": folder, **keys})).openapi()


@pytest.fixture(scope="session")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def errors(operation: dict[str, Any]) -> dict[str, Any]:
    return {status: answer for status, answer in operation["responses"].items() if status >= "400"}


def codes(document: dict[str, Any], path: str, method: str) -> set[str]:
    described = " ".join(answer["description"] for answer in errors(document["paths"][path][method]).values())
    return {word for word in described.split("`") if "_" in word and " " not in word}


def test_these_are_all_routes(operations: list[Operation]) -> None:
    assert {(method, path) for method, path, _ in operations} == {
        ("get", "/uploads/permission"),
        ("post", "/uploads"),
        ("head", "/uploads/{upload_id}"),
        ("patch", "/uploads/{upload_id}"),
        ("delete", "/uploads/{upload_id}"),
        ("post", "/videos"),
        ("get", "/videos/{video_id}"),
        ("get", "/videos/{video_id}/processing"),
        ("delete", "/videos/{video_id}"),
        ("get", "/videos/{video_id}/stream"),
        ("head", "/videos/{video_id}/stream"),
        ("post", "/videos/{video_id}/playback"),
        ("get", "/play/{token}/{name}"),
        ("head", "/play/{token}/{name}"),
        ("get", "/posters/{video_id}"),
        ("head", "/posters/{video_id}"),
        ("delete", "/courses/{course_id}"),
        ("put", "/videos/{video_id}/captions/{language}"),
        ("get", "/videos/{video_id}/captions/{language}"),
        ("delete", "/videos/{video_id}/captions/{language}"),
        ("post", "/files"),
        ("get", "/files/{file_id}"),
        ("head", "/files/{file_id}"),
        ("delete", "/files/{file_id}"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/metrics"),
    }


def test_every_route_has_a_summary(operations: list[Operation]) -> None:
    assert [(method, path) for method, path, operation in operations if not operation.get("summary")] == []


def test_every_answer_is_typed(operations: list[Operation]) -> None:
    untyped = [
        (method, path, status)
        for method, path, operation in operations
        for status, answer in operation["responses"].items()
        if path not in ("/metrics", "/uploads", "/uploads/{upload_id}")  # of the last two every answer is empty
        if status in ("200", "201", "206") and not all(kind.get("schema") for kind in answer["content"].values())
    ]
    assert untyped == []


def test_every_error_is_a_problem_with_its_codes(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        for status, answer in errors(operation).items():
            assert list(answer["content"]) == [MEDIA_TYPE], (method, path, status)
            assert answer["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert "`" in answer["description"], (method, path, status)


def test_every_route_but_those_for_machines_says_that_it_needs_a_token(operations: list[Operation]) -> None:
    for method, path, operation in operations:
        is_open = path.startswith(("/health", "/posters")) or path == "/metrics"
        is_signed = path.startswith("/play")  # by itself, for a viewer who may be signed out
        needs = ("401" in operation["responses"], bool(operation.get("security")))
        assert needs == (not is_open, not is_open and not is_signed), (method, path)


def test_the_upload_is_a_raw_body_with_every_refusal(document: dict[str, Any]) -> None:
    body = document["paths"]["/videos"]["post"]["requestBody"]
    assert body["content"]["application/octet-stream"]["schema"] == {"type": "string", "format": "binary"}
    assert {
        "not_authenticated",
        "upload_not_allowed",
        "lesson_not_found",
        "lesson_has_video",
        "upload_in_progress",
        "upload_stalled",
        "upload_too_large",
        "not_a_video",
        "empty_upload",
        "storage_full",
        "quota_exceeded",
        "replacement_under_way",
        "upload_too_slow",
        "upload_deadline_passed",
        "length_mismatch",
        "invalid_repr_digest",
        "digest_mismatch",
        "idempotency_key_reused",
        "idempotency_key_in_use",
        "vps_unreachable",
    } <= codes(document, "/videos", "post")
    assert {"Location", "Repr-Digest"} == set(document["paths"]["/videos"]["post"]["responses"]["201"]["headers"])


def test_resumable_uploads_are_described_with_their_headers(document: dict[str, Any]) -> None:
    begin, one = document["paths"]["/uploads"], document["paths"]["/uploads/{upload_id}"]
    assert {"Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Checksum"} <= {
        parameter["name"] for parameter in begin["post"]["parameters"]
    }
    assert {"Tus-Resumable", "Upload-Offset", "Upload-Checksum"} <= {
        parameter["name"] for parameter in one["patch"]["parameters"]
    }
    assert list(one["patch"]["requestBody"]["content"]) == ["application/offset+octet-stream"]
    assert {"412", "413", "415", "460", "507"} <= set(begin["post"]["responses"])
    assert {"404", "408", "409", "412", "413", "415", "460"} <= set(one["patch"]["responses"])
    assert {"offset_mismatch", "checksum_mismatch", "upload_taken_over", "wrong_content_type", "not_a_video"} <= codes(
        document, "/uploads/{upload_id}", "patch"
    )


@pytest.mark.parametrize("method", ["get", "head"])
def test_the_stream_is_described_although_it_is_answered_before_the_framework(
    document: dict[str, Any], method: str
) -> None:
    path = "/videos/{video_id}/stream"
    operation = document["paths"][path][method]
    assert {"200", "206", "304", "401", "403", "404", "416", "503"} <= set(operation["responses"])
    assert {"Range", "If-Range"} <= {parameter["name"] for parameter in operation["parameters"]}
    assert {"key_required", "video_not_found", "range_not_satisfiable", "rights_unknown", "vps_unreachable"} <= codes(
        document, path, method
    )


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("path", ["/videos/{video_id}/stream", "/play/{token}/{name}"])
def test_how_bytes_are_asked_for_and_what_is_said_of_them_is_described(
    document: dict[str, Any], path: str, method: str
) -> None:
    operation = document["paths"][path][method]
    assert {"Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"} <= {
        parameter["name"] for parameter in operation["parameters"]
    }
    answers = operation["responses"]
    assert (
        {"ETag", "Last-Modified", "Cache-Control"}
        <= answers["304"]["headers"].keys()
        <= answers["200"]["headers"].keys()
    )
    assert "Content-Range" in answers["206"]["headers"]
    assert "Content-Range" in answers["416"]["headers"]
    assert "multipart/byteranges" in answers["206"]["content"]
    assert {"precondition_failed", "range_not_satisfiable"} <= codes(document, path, method)


@pytest.mark.parametrize("method", ["get", "head"])
def test_what_an_address_of_the_vps_may_carry_is_described(document: dict[str, Any], method: str) -> None:
    operation = document["paths"]["/videos/{video_id}/stream"][method]
    assert "after" in {parameter["name"] for parameter in operation["parameters"]}


@pytest.mark.parametrize("method", ["get", "head"])
def test_each_rendition_that_can_be_asked_for_is_described(document: dict[str, Any], method: str) -> None:
    path = "/videos/{video_id}/stream"
    (asked,) = [one for one in document["paths"][path][method]["parameters"] if one["name"] == "rendition"]
    assert asked["schema"]["enum"] == ["original", "sd", "hd", "full_hd"]
    assert "rendition_not_found" in codes(document, path, method)


def test_files_and_captions_say_what_they_are_refused_for(document: dict[str, Any]) -> None:
    assert {"not_a_document", "invalid_name", "upload_too_large", "storage_full"} <= codes(document, "/files", "post")
    assert codes(document, "/files", "post").isdisjoint({"not_a_video", "lesson_has_video", "quota_exceeded"})
    assert "video_not_found" in codes(document, "/videos/{video_id}/processing", "get")
    captions = codes(document, "/videos/{video_id}/captions/{language}", "put")
    assert {"not_captions", "invalid_captions", "invalid_language", "too_many_languages"} <= captions


def test_a_permission_that_is_remembered_for_too_long_is_described(document: dict[str, Any]) -> None:
    assert "rights_unknown" in codes(document, "/uploads/permission", "get")


def test_whatever_asks_who_somebody_is_says_that_the_vps_or_the_database_may_be_away(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    """Or that the VPS may refuse this node."""
    for method, path, _ in operations:
        if not path.startswith(("/health", "/metrics", "/posters")):
            assert {"vps_unreachable", "vps_refused", "database_unusable"} <= codes(document, path, method), path


def test_readiness_tells_its_figures(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["NodeHealth"]["properties"]) == {
        "status",
        "feed_lag",
        "trust_age_s",
        "outbox_depth",
        "outbox_age_s",
        "outbox_set_aside",
    }


def test_operation_ids_are_unique(operations: list[Operation]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*(references(value) for value in part.values()))
        return set().union(*(references(value) for value in part)) if isinstance(part, list) else set()

    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= schemas
