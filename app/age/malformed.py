"""What is wrong with bytes or a text; `reader`, `opening` and whoever reads keys say whose they are."""


class MalformedError(Exception):
    """Bytes are not as the format says, or were changed; the message says which, never what is in them."""
