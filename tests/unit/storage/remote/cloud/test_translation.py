"""What obstore says without an answer of the store."""

import pytest
from obstore.exceptions import InvalidPathError

from app.errors import StorageError
from app.storage.remote.cloud.translation import translated
from app.storage.remote.codes import Act


def test_a_name_that_cannot_be_read_is_told_with_what_to_do_and_not_shown():
    """It is not ours, and the store did answer."""
    told = r"^the list: another object there has a name"
    with pytest.raises(StorageError, match=told) as caught, translated("the list", Act.LIST, {}):
        raise InvalidPathError('Path "their//secret" contained empty path segment')

    assert "a bucket of their own" in caught.value.hint
    assert "secret" not in str(caught.value)
