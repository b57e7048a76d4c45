"""Where a resumable upload's video is to go, as its metadata says."""

from collections.abc import Mapping

from pydantic import ValidationError

from cloud_service.uploads.places import Place
from cloud_service.uploads.schemas import VideoPlace
from shared.problems import Invalid


def place_of(metadata: Mapping[str, str]) -> Place:
    """Its keys are those of the upload in one request; others are the client's own. Raises Invalid."""
    told = {name: metadata[name] for name in VideoPlace.model_fields if name in metadata}
    try:
        where = VideoPlace.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["Upload-Metadata", *(str(part) for part in first["loc"])])
        raise Invalid(first["msg"], field=field) from None
    return Place(where.kind, where.lesson_id, where.title or "", where.replace)
