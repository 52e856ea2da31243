"""
The age format, age-encryption.org/v1, on the primitives of `cryptography`.

It knows keys, bytes and ranges of bytes: nothing of what is encrypted, where it lies, or whose keys
they are. `encryptor` writes a file, `reader` reads any part of one, `identity_file` keeps keys.

Source: https://age-encryption.org/v1
"""
