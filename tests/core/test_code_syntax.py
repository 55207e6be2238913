"""A hash of code: what changes it, what does not."""

from __future__ import annotations

import ast

import pytest

from lipbench.core.code.syntax import syntax_hash


def hash_of(source: str) -> str:
    return syntax_hash(ast.parse(source).body)


CODE = 'def f(a, b=1):\n    """Adds."""\n    return a + b\n'


@pytest.mark.parametrize(
    "same",
    [
        'def f(a, b=1):\n    """Sums up, since\n    today."""\n    return a + b\n',
        "def f(a, b=1):\n    # adds\n    return a + b  # both\n",
        "def f(\n    a,\n    b = 0x1,\n):\n\n    return (a\n        + b)",
        'from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x\ndef f(a, b=1): "Adds."; return a + b',
    ],
)
def test_words_and_layout_do_not_change_a_hash(same):
    if same.startswith("from"):
        assert hash_of(same) == hash_of("from typing import TYPE_CHECKING\n" + CODE)
    else:
        assert hash_of(same) == hash_of(CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a + b", "a - b"),
        ("b=1", "b=2"),
        ("b=1", "b=1.0"),
        ("b=1", "b=True"),
        ("b=1", "b='1'"),
        ("b=1", "b=b'1'"),
        ("b=1", "*, b=1"),
        ("a, b", "a, /, b"),
        ("a + b", "f'{a}{b}'"),
        ("return a", "yield a"),
        ("def f", "async def f"),
        ("def f", "@cache\ndef f"),
        ("return", "'Adds.'; a = 2; return"),
    ],
)
def test_a_change_of_meaning_changes_the_hash(before, after):
    assert hash_of(CODE) != hash_of(CODE.replace(before, after, 1))


def test_text_around_fields_of_an_f_string_counts():
    sources = ["f'a{x}b'", "f'ab{x}'", "f'{x}ab'", "f'a{x!r}b'", "f'a{x:>3}b'", "f'a{x:>4}b'", "f'a{y}b'"]
    assert len({hash_of(f"z = {source}") for source in sources}) == len(sources)
    assert hash_of("z = f'a{x}' 'b'") == hash_of("z = f'a{x}b'")


#: Something of every kind that Python versions write differently in their trees.
SAMPLE = '''
from __future__ import annotations
import a.b as c
from . import d
@c.e(1, *f, key=None, **g)
class H(I, metaclass=J):
    """Text."""
    k: int = 3
    async def l(self, m, /, n=-1.5e300, *o: int, p, q=..., **r) -> list[int]:
        async with m as s, n:
            return await s[1:2, ::3]
t = [u for v in range(9) if v if not u] + [{**w, 'ü\\u0378\\U0001fae8': 1j, b'\\xff': True}]
x = lambda y, *z: (y := 1_000_000_000_000_000_000_000) if y <= 2 < 3 else z
match t:
    case {"a": [1, *_], **rest} | H(k=-2) if rest: pass
    case None | True: ...
try:
    raise x from None
except (A, B) as error:
    del error, t[0]
print(f"{x!r:>{10}} {x=} {'a' 'b'} {x:%Y-%m}" u"c" f"{{}}", end='')
'''
FROZEN = "e3148f3b94795c922aa67d077f77b9d08efe5dadfb9ae7801856326950a866fd"


def test_a_hash_is_the_same_on_every_python():
    """The value was found on Python 3.10, 3.11, 3.12 and 3.13."""
    assert hash_of(SAMPLE) == FROZEN
