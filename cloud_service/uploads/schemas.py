from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shared.schemas import Body, Out

Refusal = Literal["not_a_teacher", "not_enough_followers", "course_not_yours"]


class UploadPermission(Out):
    """`required` followers make a verified teacher; `reason` is null when it is allowed."""

    allowed: bool
    reason: Refusal | None
    followers: int
    required: int


class VideoPlace(Body):
    """Where an uploaded video is to go: into a lesson, or among the practice videos of whoever uploads it."""

    kind: Literal["course", "practice"] = "course"
    lesson_id: Annotated[UUID | None, Field(description="The lesson of a course video.")] = None
    replace: Annotated[bool, Field(description="In place of the video that the lesson has, once it is ready.")] = False
    title: Annotated[str | None, Field(min_length=1, max_length=200, description="Of a practice video.")] = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "course":
            if self.lesson_id is None:
                raise ValueError("lesson_id is needed, or kind=practice")
            if self.title is not None:
                raise ValueError("title is for practice videos; a lesson has its own")
        elif self.title is None:
            raise ValueError("a practice video needs a title")
        elif self.lesson_id is not None or self.replace:
            raise ValueError("lesson_id and replace are for course videos")
        return self
