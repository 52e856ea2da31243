"""What every document is, and the types of fields that come often."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


BACKUP_ID: Final = "backup_65ba1f2f3d4e5"
RUN_ID: Final = "run_1f6a0c9d2b7e4f83"
RESTORE_ID: Final = "restore_861d0b977aca"


def _moment(at: datetime) -> str:
    """Write an instant as the catalogue does."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


Seconds = Annotated[float, Field(description="Seconds.")]
Bytes = Annotated[int, Field(description="Bytes.", examples=[1048576])]
Moment = Annotated[
    datetime,
    PlainSerializer(_moment, return_type=str),
    Field(description="UTC, `YYYY-MM-DD HH:MM:SS`.", examples=["2024-01-31 14:30:15"]),
]
# An instant without its fraction; the first is a string without a format to the API's document.
SecondText = Annotated[datetime, PlainSerializer(_second, return_type=str)]
WholeSecond = Annotated[datetime, PlainSerializer(_whole, return_type=datetime)]
BackupIdText = Annotated[str, Field(examples=[BACKUP_ID])]
RunIdText = Annotated[str, Field(examples=[RUN_ID])]
RestoreIdText = Annotated[str, Field(examples=[RESTORE_ID])]
Success = Annotated[bool, Field(examples=[True])]


class Document(BaseModel):
    """
    A JSON document, or an object in one.

    Made of values of the domain by `of`; `model_dump(mode="json")` is what is printed and kept.
    """

    # Built when first used: a command needs a few of them.
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True, defer_build=True)

    @classmethod
    def taken(cls, source: object, **others: object) -> Self:
        """
        Take what a value has under the same name.

        Args:
            source: Has an attribute for every field that is not among the others.
            others: Fields that it has not, or has differently.

        Returns:
            The document; objects in it are taken from the values of the attributes likewise.
        """
        missing = cls.model_fields.keys() - others.keys()
        return cls.model_validate({**{name: getattr(source, name) for name in missing}, **others})


class RetentionFacts(Document):
    """What is kept of the backups of each schedule, or of one; 0 = no such rule."""

    count: int
    days: float
    hourly: int
    daily: int
    weekly: int
    monthly: int
    yearly: int
    max_days: float
    max_bytes: int
