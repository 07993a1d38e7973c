"""Boots the real programs, breaks things around them, looks on from outside, cleans up.

It never imports the product: it is the second opinion on what the programs say.

A scenario's world
    world.py      HOME, network, settings, programs: what one scenario has for itself
    network.py    a loopback /24 of its own
    leaks.py      that nothing of it is left at its end
    settings.py   the config file as a user would write it
    commands.py   which four programs are judged          words.py  <large>, <queen address> …
    models.py     GGUF files: the bundled one, a large one made of holes, and those of
    quantized.py  the bundled one in other quantizations    split_models.py  and in three parts
    broken_models.py  the bundled one with one thing wrong    prompts.py  prompts of a given length
The Hub, in the place of huggingface.co
    hub.py        its face                      hub_server.py  its HTTP
    hub_repositories.py  what lies on it        hub_log.py     what it was asked
    hub_faults.py what goes wrong with it       hub_sending.py  how fast, and how it breaks off
Other machines, reached over SSH
    node.py       one of them: address, HOME, SSH server      person.py  who may log in, their agent
    ssh_server.py an SSH server of asyncssh, which breaks as told       ssh_session.py  its sessions
    openssh.py    OpenSSH's own, behind the same face         ssh_log.py what a server saw
    registry.py   what the queen keeps of nodes, as SQLite has it
    installation.py  what a node is installed from, and what is there then
    second_installation.py  the programs in other places and in another version
    injection.py  whether a word was run as a command
    partition.py  a cable to be cut, to a node behind it      namespaces.py  network namespaces
Running and watching
    run.py        a program or a keeper, its output with arrival times
    terminal.py   a keeper on a terminal                bars.py      the bar that it showed there
    pipeline.py   a keeper with another program behind it
    processes.py  what /proc says: who lives, who listens where
    endings.py    in which order processes ended, and how
    calls.py      plain HTTP calls          events.py   event streams, with arrival times
    arguments.py  a command line as options
    failures.py   an error, as a status or as an event
    cluster.py    queen, hive and workers together, by who listens where
    story.py      what a keeper printed: tokens, narration, errors, saved text
    secrets.py    where the API key must not stand
    refusals.py   what a person is told about each of many broken files
    by_hand.py    a worker that a person started            crowd.py    many people at one worker
    logs.py       log files as the disk has them, beside what is shown of them
    operators.py  a hive that a person started on another node
    on_screen.py  a screen read as a person does      docs.py     a page, and what it shows
    log_lines.py  which lines of which log carry a mark
    memory.py     how much processes hold                   signals.py  which signal waits for one
    roles.py      which process is queen, hive or worker
    fetching.py   a model that a hive fetches
    catalog.py    the catalog as SQLite has it, the models folder as the disk has it
    whole.py      databases, files and connections while everything runs
    open_connection.py  one that somebody keeps open    limited_files.py  no file more to be opened
    metrics.py    what Prometheus would read                vectors.py  what was embedded
Second opinions
    headers.py    a model file, as the gguf package reads it
    teacher.py    an answer, computed again alone
Installed on this machine
    own_installation.py  what install leaves, and who typed it
    shells.py     a person's shell, in which Tab completes
    systemd.py    units, started and stopped as systemd would
    diagnosis.py  what the doctor says
Breaking things
    graphics_card.py  cards of which there is only the word   nvidia_smi.py  its program
    owner.py      somebody else's queen, as a hive sees her
    faults.py     what goes wrong with an installation, for the doctor to find
    wire.py       a relay that cuts, resets or goes silent at a chosen event, and notes requests
    callback.py   a stranger who listens for a worker's ready callback
    router.py     lets chosen ports through to a node
    squatter.py   something that is no queen on the queen's port
    stubborn.py   a worker with a child that ignores signals
    pid_files.py  a pid that was given to somebody else since
    kill_matrix.py  one program killed in a chosen phase    aftermath.py  what that left behind
    small_disk.py a disk of a few megabytes, to be filled up
The frame
    waiting.py    the one waiting function
    evidence.py   what each scenario leaves for whoever asks why it failed
    abilities.py  which tagged scenarios this machine can't run
    shards.py     the whole specification in three parts at once     turns.py  who runs what
    hooks.py      behave's hooks            verdicts.py  the count at the end
    __main__.py   python -m harness
"""
