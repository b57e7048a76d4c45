"""Part of the contract between the services: is a course there for everybody, so that its videos' posters may be?"""

from uuid import UUID

from shared.contract import INTERNAL, Position
from shared.schemas import Body, Out

POSTERS = f"{INTERNAL}/posters"


class PostersQuestion(Body):
    course_id: UUID


class PostersAnswer(Out):
    are_public: bool
    as_of: Position
