"""The worker's command line."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click
import msgspec

from rbee import __version__
from rbee.runtime.daemon_flags import daemon_flags, settings_or_exit, show_settings
from rbee.worker.settings import WorkerSettings


@click.group(invoke_without_command=True)
@click.version_option(__version__, prog_name="llm-worker-rbee")
@click.option("--model", type=click.Path(path_type=Path), help="The GGUF file to load.")
@click.option("--model-ref", help="What the model is called in lists [default: file:PATH].")
@click.option("--worker-id", help="The worker's name [default: made up].")
@click.option("--backend", default="cpu", show_default=True, help="cpu, cuda, metal, vulkan …")
@click.option("--device", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--slots", type=int, help="How many requests at once [config: worker.slots].")
@click.option("--context", type=int, help="Tokens, shared by all slots [config: worker.context].")
@click.option("--callback-url", help="The hive to tell when this worker listens.")
@click.option("--api-key-file", help="The file with the API key to ask for.")
@daemon_flags(default_port=0)
@click.pass_context
def main(ctx: click.Context, /, **flags: object) -> None:
    """Hold one GGUF model in memory and answer requests about it over HTTP.

    A hive starts workers by itself; by hand it is:

        llm-worker-rbee --model /path/model.gguf --port 8001
    """
    if ctx.invoked_subcommand is not None:
        return
    config = settings_or_exit({f"worker.{name}": flags[name] for name in ("slots", "context")})
    if flags["show_settings"]:
        show_settings(config)
        return
    model = flags["model"]
    if not isinstance(model, Path):
        raise click.UsageError("Name the model: --model /path/model.gguf")
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
        callback_url=_text(flags["callback_url"]),
        api_key_file=_text(flags["api_key_file"]),
        lifeline=bool(flags["lifeline"]),
        insecure=bool(flags["insecure"]),
        config=config,
    )
    sys.exit(run(settings))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def detect(as_json: bool) -> None:
    """Say what the installed llama.cpp can compute on.

    \b
        llm-worker-rbee detect --json
    """
    from rbee.worker import app

    found = app.detect()
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for name, count in found.devices.items():
        click.echo(f"{name}: {count} {'device' if count == 1 else 'devices'}")
    for each in found.memory:
        free, total = each.memory_free_bytes // 1_000_000, each.memory_total_bytes // 1_000_000
        click.echo(f"  {each.backend} {each.index}: {each.name}, {free} of {total} MB free")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
