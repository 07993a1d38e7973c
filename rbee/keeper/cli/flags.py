"""The flags that several commands share."""

from __future__ import annotations

import click

some_node = click.option("--node", help="On which machine [default: this one].")
one_node = click.option("--node", required=True, help="The node's name.")
as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
port = click.IntRange(1, 65535)
