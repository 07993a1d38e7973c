"""GBNF: which texts a grammar allows, and what is wrong with one that can't be had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rbee.worker.model.gbnf import to_lark

Allows = Callable[[str, str], bool]

ARITHMETIC = r"""# llama.cpp's grammars/arithmetic.gbnf
root  ::= (expr "=" ws term "\n")+
expr  ::= term ([-+*/] term)*
term  ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num   ::= [0-9]+ ws
ws    ::= [ \t\n]*
"""
JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::= "[" ws ( value ("," ws value)* )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""


@pytest.mark.parametrize(
    ("text", "allowed", "forbidden"),
    [
        ('root ::= [a-z]+ "x"', ["fox", "xx"], ["fo", "x", ""]),
        ('root ::= "abc" | [a-z] "b" "d"', ["abc", "abd"], ["abe", "ab"]),
        (
            'root ::= "(" root ")" | [a-z] "1" | "a" "2" | "abc" | [a-z] "b" "d"',
            ["a1", "a2", "(a2)", "abc", "((abd))"],
            ["b2", "abx", "(a1"],
        ),
        ('root ::= "a"{3} | "b"{2,} | ("cd"){0,2} "e"?', ["aaa", "bbb", "cdcd", "e", ""], ["aa"]),
        ('root ::= "ab"* "c"', ["ababc", "c"], ["abbc"]),
        (r"root ::= [\]a-]+ [-x] .", ["]-a-ü", "a-\n"], ["q-x"]),
        (r'root ::= [^\n"]', ["a", "漢", "😀"], ["\n", '"', "ab"]),
        (r'root ::= "😀" [\U0001F600-\U0001F64F] "\u00e9\x41\t\\"', ["😀😃éA\t\\"], ["😀aéA\t\\"]),
        ('root ::= "a" |\n  "b" # more\n\nother ::= "c"', ["a", "b"], ["c"]),
        ('root ::= x\nx ::= "a"\nx ::= "b"', ["b"], ["a"]),
        ('root ::= root "a" | "b"', ["b", "baa"], ["a", "bb"]),
        ("root ::= (\n[a-z]\n|\n[0-9]\n)\r\n", ["q", "7"], ["Q"]),
        (ARITHMETIC, ["1+2=3\n", "a=b\n(1 *2) = x\n"], ["1+2=3", "=1\n"]),
        (JSON, ['{"a": [1, -2.5e3, "x\\n\\u00e9"], "b":{}}', "{}"], ["[]", '{"a"}', '{"a": 01}']),
    ],
)
def test_a_grammar_allows_its_texts_and_no_others(
    allows: Allows, text: str, allowed: list[str], forbidden: list[str]
) -> None:
    grammar = to_lark(text)
    assert [each for each in allowed if not allows(grammar, each)] == []
    assert [each for each in forbidden if allows(grammar, each)] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no rule named root"),
        ('rooot ::= "a"', "it has no rule named root"),
        ("root ::= a b\na ::= [a]", "it has no rule named b"),
        ('root = "a"', "line 1: expected ::=, found '= \"a\"'"),
        ('root ::= "a"\n"b"', "line 2: expected the name of a rule, found '\"b\"'"),
        ('root ::= "a', 'line 1: expected " before the end of the grammar, found its end'),
        ("root ::= [a", "line 1: expected ] before the end of the grammar, found its end"),
        ('root ::= ("a"', "line 1: expected ), found its end"),
        ('root ::= "a")', "line 1: expected the end of the rule, found ')'"),
        ("root ::= []", "line 1: expected a character in the brackets, found its end"),
        ("root ::= [z-a]", "line 1: expected a range of characters that is not empty, found ']'"),
        (r'root ::= "\q"', r"line 1: expected one of \n \r \t"),
        (r'root ::= "\ud800"', "line 1: expected a character of Unicode"),
        ('root ::= "a"{3,2}', "line 1: expected a range of repetitions that is not empty"),
        ('root ::= "a"{1000000}', "line 1: expected at most 2000 repetitions"),
        ("root ::= <think>", "line 1: expected no token in angle brackets"),
        ("root ::= " + "(" * 100_000, "line 1: expected at most 20 parentheses inside each other"),
        ("root ::= a" + "*" * 100_000, "line 1: expected the end of the rule"),
        (
            "root ::= r0\n"
            + "".join(f"r{number} ::= r{number + 1}\n" for number in range(20_000))
            + "r20000 ::= [a]",
            "more than 500 rules lead to each other",
        ),
        (
            "".join(f"r{number} ::= r{number + 1}?\n" for number in range(600))
            + "r600 ::= r0\nroot ::= r0",
            "more than 500 rules lead to each other",
        ),
    ],
)
def test_what_is_wrong_with_a_grammar_is_said_with_the_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        to_lark(text)
    assert str(refused.value).startswith(reason)


def test_parentheses_go_as_deep_as_the_engine_takes_them(allows: Allows) -> None:
    deep = to_lark("root ::= " + "(" * 20 + '"a" root?' + ")+" * 20)
    assert allows(deep, "aa")
