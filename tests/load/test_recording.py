"""A key that a server sent back is in no file, and nothing else is touched."""

import mmap

import pytest

from serving_study.load.recording import blot_out


def blotted(text: bytes, secret: bytes) -> bytes:
    block = mmap.mmap(-1, len(text))
    block[:] = text
    blot_out([block], secret)
    return block[:]


def test_a_long_key_is_blotted_out_wherever_it_stands():
    assert blotted(b"a sk-123456 b sk-123456sk-123456", b"sk-123456") == b"a ********* b ******************"


@pytest.mark.parametrize("key", [b"1", b"null", b"EMPTY", b"*", b"data"])
def test_a_short_key_is_blotted_out_only_where_the_server_was_told_it(key):
    kept = b'HTTP/1.1 200 OK\r\n\r\n1\r\ndata: {"error": null, "content": "EMPTY *"}\r\n'
    assert blotted(kept + b"Bearer " + key + b"\r\n", key) == kept + b"Bearer " + b"*" * len(key) + b"\r\n"


@pytest.mark.parametrize("key", [b"*", b"********"])
def test_a_key_of_asterisks_ends_the_search_too(key):
    assert blotted(b"Bearer ********", key) == b"Bearer ********"
