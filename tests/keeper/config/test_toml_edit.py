"""A node is added, changed or removed in the text of a config file, and the rest is kept."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbee.keeper.config.toml_edit import with_node, with_values, without_node

TEXT = """# top
[queen]
port = 8080 # mine

# my workstation
[nodes.a]
ssh_host = "x"   # comment
# ssh_user = "later"

# about the hive
[hive]
port = 9300
"""


def test_a_new_node_is_written_at_the_end() -> None:
    new = with_node(TEXT, "b.c", {"ssh_host": "y", "ssh_port": 22})
    assert new == TEXT + '\n[nodes."b.c"]\nssh_host = "y"\nssh_port = 22\n'


def test_a_changed_key_keeps_its_place_and_its_comment() -> None:
    assert with_node(TEXT, "a", {"ssh_host": "y"}) == TEXT.replace('"x"', '"y"')


def test_a_new_key_is_written_above_the_comment_of_the_next_node() -> None:
    before, after = TEXT.split("\n# about the hive")
    expected = f'{before}ssh_user = "me"\n\n# about the hive{after}'
    assert with_node(TEXT, "a", {"ssh_user": "me"}) == expected


def test_a_removed_node_leaves_the_comments_around_it() -> None:
    lines = TEXT.splitlines(keepends=True)
    assert without_node(TEXT, "a") == "".join(lines[:5] + lines[8:])


def test_a_missing_node_is_not_removed() -> None:
    assert without_node(TEXT, "b") is None
    assert without_node("", "b") is None


FORMS = [
    "",
    "\n",
    "# only a comment",
    '[nodes.b]\nssh_host = "z"',
    'nodes = { a = { ssh_host = "x" } }\n',
    'nodes.a.ssh_host = "x"\n',
    '[nodes]\na = { ssh_host = "x" }\n[queen]\nport = 1\n',
    '[nodes]\na.ssh_host = "x"\n',
    '[nodes]\n[nodes.a]\nssh_host = "x"\n',
    '[nodes."a"]\n[hive]\nport = 1\n',
    "[ nodes . 'a' ] # c\nssh_host = \"x\"\n# hive\n[hive]\nport = 1\n",
    '[nodes.a]\nssh_host = "x"\n[queen]\nport = 1\n[nodes.b]\nssh_host = "z"\n',
    '[nodes.a]\r\nssh_host = "x"\r\n\r\n# hive\r\n[hive]\r\nport = 1\r\n',
    '[nodes.b]\nssh_host = """\n[nodes.a]\nssh_host = "x"\n"""\n[nodes.a]\nssh_host = "x"\n',
    TEXT,
]


def comments(text: str) -> list[str]:
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("name", ["a", "b", "new"])
def test_only_the_intended_node_changes_in_every_notation(text: str, name: str) -> None:
    data = tomllib.loads(text)
    nodes = data.get("nodes", {})
    values = {"ssh_host": "y", "ssh_user": "me"}
    changed = with_node(text, name, values)
    meant = {**nodes, name: {**nodes.get(name, {}), **values}}
    assert tomllib.loads(changed) == {**data, "nodes": meant}
    assert comments(changed) == comments(text)

    removed = without_node(changed, name)
    assert removed is not None
    of_the_node = ["# comment", '# ssh_user = "later"', "# c"]
    assert [c for c in comments(text) if c not in of_the_node] == [
        c for c in comments(removed) if c not in of_the_node
    ]
    left = {other: node for other, node in nodes.items() if other != name}
    assert tomllib.loads(removed).get("nodes", {}) == left
    assert {**tomllib.loads(removed), "nodes": 0} == {**data, "nodes": 0}


@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    host=st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
)
def test_a_node_that_is_added_and_removed_leaves_no_trace(name: str, host: str) -> None:
    changed = with_node(TEXT, name, {"ssh_host": host})
    assert tomllib.loads(changed)["nodes"][name]["ssh_host"] == host
    if name != "a":
        assert without_node(changed, name) == TEXT


def test_keys_are_added_to_a_section_above_the_comment_of_the_next() -> None:
    new = with_values(TEXT, "queen", {"tls_cert": "/c", "port": 81})
    assert new == TEXT.replace("8080 # mine", '81 # mine\ntls_cert = "/c"')


SECTIONS = ["", "# only", "[hive]\nport = 1", "[queen]\n# port = 1\n\n# hive\n[hive]\n", TEXT]


@pytest.mark.parametrize("text", [*SECTIONS, "queen = { port = 1 }\n", "queen.port = 1\n[hive]\n"])
def test_a_section_gets_its_keys_in_every_notation(text: str) -> None:
    was = tomllib.loads(text)
    new = with_values(text, "queen", {"tls_cert": "/c"})
    assert tomllib.loads(new) == {**was, "queen": {**was.get("queen", {}), "tls_cert": "/c"}}
    assert set(comments(text)) <= set(comments(new))
    assert with_values(new, "queen", {"tls_cert": "/c"}) == new
