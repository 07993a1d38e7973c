"""The worker's command line."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click
import msgspec

from rbee import __version__
from rbee.contract.errors import RbeeError
from rbee.runtime import safe_text
from rbee.runtime.daemon_flags import daemon_flags
from rbee.runtime.daemon_settings import settings_or_exit, show_settings
from rbee.runtime.error_text import explain
from rbee.runtime.usage import Group
from rbee.worker.settings import WorkerSettings


@click.group(cls=Group, invoke_without_command=True)
@click.version_option(__version__, prog_name="llm-worker-rbee")
@click.option("--model", type=click.Path(path_type=Path), help="The GGUF file to load.")
@click.option("--model-ref", help="The model's name in lists [default: file:PATH].")
@click.option("--worker-id", help="The worker's id [default: a random one].")
@click.option("--backend", default="cpu", show_default=True, help="cpu, cuda, metal, vulkan, …")
@click.option(
    "--device",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The index of the device within the backend.",
)
@click.option("--slots", type=int, help="How many requests can run at once [config: worker.slots].")
@click.option("--context", type=int, help="Tokens, shared by all slots [config: worker.context].")
@click.option("--callback-url", help="The hive to notify once this worker listens.")
@click.option(
    "--api-key-file",
    help="The file with the API key that clients must send [config: auth.api_key_file].",
)
@click.option(
    "--standby",
    is_flag=True,
    help="Get ready without a model, and read the other options from standard input.",
)
@daemon_flags(default_port=0)
@click.pass_context
def main(ctx: click.Context, /, **flags: object) -> None:
    """Load one GGUF model and serve it over HTTP.

    Normally a hive starts the workers. To start one by hand:

    \b
        llm-worker-rbee --model /path/model.gguf --port 8001

    It requires the API key of this machine, as every daemon does.
    """
    if ctx.invoked_subcommand is not None:
        return
    if flags["standby"]:
        from rbee.worker.standby import wait_for_arguments

        try:
            arguments = wait_for_arguments()
        except RbeeError as error:
            click.echo(explain(error), err=True)
            sys.exit(error.exit_code)
        if arguments is not None:
            main(arguments)
        return
    given = {f"worker.{name}": flags[name] for name in ("slots", "context")}
    config = settings_or_exit({**given, "auth.api_key_file": flags["api_key_file"]})
    if flags["show_settings"]:
        show_settings(config)
        return
    model = flags["model"]
    if not isinstance(model, Path):
        raise click.UsageError("Missing model. Pass --model /path/model.gguf.")
    from rbee.worker.app import main as run

    settings = WorkerSettings(
        model=model.absolute(),
        model_ref=str(flags["model_ref"] or f"file:{model.absolute()}"),
        worker_id=str(flags["worker_id"] or f"worker-{secrets.token_hex(8)}"),
        backend=str(flags["backend"]),
        device=int(str(flags["device"])),
        host=str(flags["host"] or "127.0.0.1"),
        port=int(str(flags["port"])),
        slots=config.worker.slots,
        context=config.worker.context,
        threads=config.worker.threads,
        mmap=config.worker.mmap,
        cache_ram_mb=config.worker.cache_ram_mb,
        callback_url=_text(flags["callback_url"]),
        lifeline=bool(flags["lifeline"]),
        insecure=bool(flags["insecure"]),
        config=config,
    )
    sys.exit(run(settings))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def detect(as_json: bool) -> None:
    """List the backends and devices that llama.cpp can use here.

    \b
        llm-worker-rbee detect --json
    """
    from rbee.worker.model.llama import usable

    found = usable()
    if as_json:
        click.echo(safe_text.document(msgspec.json.encode(found).decode()))
        return
    for name, count in found.devices.items():
        click.echo(f"{name}: {count} {'device' if count == 1 else 'devices'}")
    for each in found.memory:
        free, total = each.memory_free_bytes // 1_000_000, each.memory_total_bytes // 1_000_000
        name = safe_text.line(each.name)  # as the driver has it
        click.echo(f"  {each.backend} {each.index}: {name}, {free} of {total} MB free")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
