"""What is written as YAML reads back the same, whatever a class or a file is called."""

import itertools
import random

import pytest

from supernet.yaml_text import dump_yaml, parse_yaml

SIGNS = "?-:,[]{}#&*!|>'\"%@`~= \n\t\x85\u2028\u2029\ufeffa1é"
WORDS = ["?unsure", ":a", "- a", "no", "null", "1e3", "0x1F", "2020-01-01", "12:30:45", "<<", ""]


@pytest.mark.parametrize(
    "text", [*WORDS, "a\x85b", "a\u2028b", "\ufeffa", "x" * 300, "wo rd " * 60]
)
def test_a_text_reads_back_the_same(text: str) -> None:
    for document in ({"a": [text, "b"]}, {"a": text}, {text: 1}, {"a": [{text: text}]}):
        assert parse_yaml(dump_yaml(document)) == document


def test_texts_of_signs_read_back_the_same() -> None:
    every = ["".join(signs) for n in (1, 2, 3) for signs in itertools.product(SIGNS, repeat=n)]
    some = random.Random(0).sample(every, 1500)
    assert parse_yaml(dump_yaml({"a": some})) == {"a": some}
    assert parse_yaml(dump_yaml({"a": {text: [text] for text in some}})) == {
        "a": {text: [text] for text in some}
    }


def test_plain_texts_stay_without_quotes() -> None:
    assert (
        dump_yaml({"a": ["cat", "big dog", "/data/x", "µm"]}) == "a: [cat, big dog, /data/x, µm]\n"
    )
