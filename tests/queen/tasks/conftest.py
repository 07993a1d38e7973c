"""Hives that can be bent, as the tests of the nodes have them."""

from __future__ import annotations

from tests.queen.nodes.conftest import fake_hive as fake_hive
from tests.queen.nodes.conftest import url_node as url_node
