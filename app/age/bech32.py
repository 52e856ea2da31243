"""
Bech32: keys as texts for people, with a checksum that finds every slip of the pen.

1. The bytes are cut into digits of five bits. 2. A checksum of six digits covers them and the prefix.
3. All letters are small, or all are capital; the checksum is that of the small ones.

Not guaranteed: a length, which BIP 173 limits and age does not.

Source: https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki
"""

from collections.abc import Iterable
from typing import Final

from app.age.malformed import MalformedError


_ALPHABET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_DIGITS: Final = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_DIGITS: Final = 6
_DIGIT_BITS: Final = 5
_BYTE_BITS: Final = 8
# A key has 62 or 74 characters; whatever is longer than this is none.
_LONGEST: Final = 4096


def encode(prefix: str, data: bytes) -> str:
    """Encode bytes under a prefix; one of capital letters makes all of them capital."""
    small = prefix.lower()
    digits = _regrouped(data, _BYTE_BITS, _DIGIT_BITS, pads=True)
    polynomial = _polymod([*_expanded(small), *digits, *([0] * _CHECKSUM_DIGITS)]) ^ 1
    checksum = [
        polynomial >> _DIGIT_BITS * (_CHECKSUM_DIGITS - 1 - place) & 31
        for place in range(_CHECKSUM_DIGITS)
    ]
    text = small + "1" + "".join(_ALPHABET[digit] for digit in (*digits, *checksum))
    return text if prefix == small else text.upper()


def decode(text: str) -> tuple[str, bytes]:
    """
    Decode a text.

    Returns:
        The prefix, its letters as they were, and the bytes.

    Raises:
        MalformedError: Not such a text, or one with a mistake in it.
    """
    small = text.lower()
    if text not in {small, text.upper()} or len(text) > _LONGEST or not text.isascii():
        raise MalformedError("not a key: letters must be all small or all capital")
    prefix, separator, rest = small.rpartition("1")
    if not (prefix and separator) or len(rest) < _CHECKSUM_DIGITS or set(rest) - _DIGITS.keys():
        raise MalformedError("not a key")
    digits = [_DIGITS[letter] for letter in rest]
    if _polymod([*_expanded(prefix), *digits]) != 1:
        raise MalformedError("a character of the key is wrong")
    data = _regrouped(digits[:-_CHECKSUM_DIGITS], _DIGIT_BITS, _BYTE_BITS, pads=False)
    return text[: len(prefix)], bytes(data)


def _polymod(digits: Iterable[int]) -> int:
    """Compute the remainder that the checksum brings to 1."""
    value = 1
    for digit in digits:
        top = value >> 25
        value = (value & 0x1FFFFFF) << _DIGIT_BITS ^ digit
        for place, factor in enumerate(_GENERATOR):
            value ^= factor if top >> place & 1 else 0
    return value


def _expanded(prefix: str) -> list[int]:
    letters = prefix.encode()
    return [*(letter >> _DIGIT_BITS for letter in letters), 0, *(letter & 31 for letter in letters)]


def _regrouped(digits: Iterable[int], before: int, after: int, *, pads: bool) -> list[int]:
    """Cut groups of bits anew; without padding what is left over must be less than a group, and zero."""
    bits = value = 0
    groups: list[int] = []
    for digit in digits:
        value = value << before | digit
        bits += before
        while bits >= after:
            bits -= after
            groups.append(value >> bits)
            value &= (1 << bits) - 1
    if pads and bits:
        groups.append(value << after - bits)
    elif not pads and (bits >= before or value):
        raise MalformedError("not a key: bits that belong to no byte")
    return groups
