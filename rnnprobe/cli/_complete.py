"""What the shell proposes when Tab is pressed: names, lists of names, models and data.

Click's scripts for bash, zsh and fish are replaced: they know no files of a certain kind beside
names, and the one of fish cuts a value at its first comma.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from rnnprobe.datasets import SUMMARIES

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]
_PATH = "path"

_BASH = """\
%(complete_func)s() {
    local type value response
    response=$(IFS=$'\\n'; env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
%(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            path) compopt -o filenames; COMPREPLY+=("${value%%/}") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

# A folder ends with a slash and has no space after it; a tilde stays one.
_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a names described files folders response
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key description in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            path)
                key=${${(q)key}/#\\\\\\~/\\~}
                if [[ $key == */ ]]; then folders+=("$key"); else files+=("$key"); fi ;;
            plain)
                if [[ $description == _ ]]; then names+=("$key")
                else described+=("$key:$description"); fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#names )) && compadd -U -V unsorted -a names
    (( $#files )) && compadd -U -Q -f -a files
    (( $#folders )) && compadd -U -Q -f -S '' -a folders
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s)
    for completion in $response
        set -l metadata (string split -m 1 "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case '*'
                echo $metadata[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Whole(ShellComplete):
    """Proposes `--name=value` as a whole where the shell takes it for one word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("--"):
            for item in found:
                item.value = f"{option}={item.value}"
        return found


class _Bash(_Whole, BashComplete):
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words; bash makes three of `--name=value`."""
        args, incomplete = super().get_completion_args()
        return [word for word in args if word != "="], incomplete


class _Zsh(_Whole, ZshComplete):
    source_template = _ZSH


class _Fish(_Whole, FishComplete):
    source_template = _FISH


def install() -> None:
    """Let Click use these scripts."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)


def one_of(names: Iterable[str]) -> Completion:
    """Return what proposes a name."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        del ctx, parameter
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return complete


def some_of(names: Iterable[str]) -> Completion:
    """Return what proposes one more name of a list separated by commas."""

    def complete(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        del ctx, parameter
        head, comma, last = incomplete.rpartition(",")
        given = [name.strip() for name in head.split(",")]
        fresh = [name for name in names if name.startswith(last) and name not in given]
        return [CompletionItem(head + comma + name) for name in fresh]

    return complete


def models(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Propose folders, and files that end with .keras."""
    del ctx, parameter
    return _paths(incomplete, (".keras",))


def modules(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Propose folders, and files that end with .py."""
    del ctx, parameter
    return _paths(incomplete, (".py",))


def data(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Propose the data sets known by name, then folders and files of data."""
    names = one_of(SUMMARIES)(ctx, parameter, incomplete)
    texts = (".txt",) if ctx.command.name == "predict" else ()  # no labels can stand in them
    return names + _paths(incomplete, (".npz", ".csv", *texts))


def _paths(incomplete: str, suffixes: Sequence[str]) -> list[CompletionItem[str]]:
    """Return the folders and files of these suffixes whose names begin so, folders with a slash."""
    written, start = os.path.split(incomplete)
    head = incomplete[: len(incomplete) - len(start)]
    found = []
    try:
        for entry in Path(written or ".").expanduser().iterdir():
            is_hidden = entry.name.startswith(".") and not start.startswith(".")
            if is_hidden or not entry.name.startswith(start) or not entry.name.isprintable():
                continue
            if entry.is_dir():
                found.append(f"{head}{entry.name}/")
            elif entry.suffix in suffixes:
                found.append(head + entry.name)
    except (OSError, RuntimeError):  # no such folder, none that may be read, or no such home
        return []
    return [CompletionItem(name, type=_PATH) for name in sorted(found)]
