# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook, without the work that each run would do again: `command` says how to call it.

A run packs every module that it needs into an archive, and the module compiles that archive's sources each time that it
starts, which is half the time of a test. Here archives are kept in .cache between runs, with what Python compiles them to; they
are made anew when the collection, ansible-core or Python changes. Filters, tests and actions are loaded before the first task: each
task is a process of its own, forked from the one that reads the playbook, and would load them again, as it would compile its
templates and conditions again, which are kept beside the archives. Nothing is collected as garbage, for which each process
would copy the memory that it shares. Modules on this machine are forked too: see forkserver.py. What is packed, sent and run is the
same. The demo, the tests of packaging and those on real hosts take ansible-playbook itself.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import marshal
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Callable, cast

#: Seconds that archives of another state of the checkout are kept, since a run may be using them.
KEPT = 86400
#: Seconds between two looks of Ansible's for results: its own 0.001 keeps a core busy.
INTERVAL = 0.01


def command(python: str | Path = sys.executable) -> list[str]:
    """What to run instead of the ansible-playbook beside that Python."""
    return [str(python), __file__]


def archives(cache: Path, tree: Path) -> Path:
    """The folder for the archives of this state of the collection."""
    from ansible.release import __version__

    state = hashlib.sha256(f"{__version__} {sys.version}".encode())
    stamp = tree / ".made-from"
    state.update(stamp.read_bytes() if stamp.exists() else b"")
    for path in sorted((tree / "ansible_collections" / "dbops" / "alembic" / "plugins").rglob("*.py")):
        found = path.stat()
        state.update(f"{path} {found.st_mtime_ns} {found.st_size}\n".encode())
    folder = cache / "modules" / state.hexdigest()[:16]
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.iterdir():
            if other.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(other, ignore_errors=True)
    return folder


def compiled(archive: Any) -> None:
    """Add to an archive that is being written what each of its sources compiles to. Another Python passes over it."""
    import importlib._bootstrap_external
    from importlib.util import source_hash

    packed: Any = importlib._bootstrap_external

    for name in archive.namelist():
        if name.endswith(".py"):
            source = archive.read(name)
            code = compile(source, name, "exec", dont_inherit=True)
            archive.writestr(f"{name}c", packed._code_to_hash_pyc(code, source_hash(source), False))


def reuse_templates(folder: Path) -> None:
    """Keep what Jinja compiles templates and conditions to in that folder. None of it depends on the values of variables."""
    import jinja2
    from ansible._internal._templating import _jinja_bits

    bits: Any = _jinja_bits
    environment: Any = bits.AnsibleEnvironment
    folder.mkdir(exist_ok=True)
    compile_template, compile_expression = environment.compile, environment.compile_expression

    def kept(self: Any, kind: str, source: str, make: Callable[[], Any]) -> Any:
        context = bits._TemplateCompileContext.current(optional=True)
        settings = [getattr(self, name) for name in bits._TEMPLATE_OVERRIDE_FIELD_NAMES]
        state = repr((jinja2.__version__, kind, context and context.escape_backslashes, settings, str(source)))
        path = folder / hashlib.sha256(state.encode(errors="surrogatepass")).hexdigest()
        try:
            return marshal.loads(path.read_bytes())
        except FileNotFoundError:
            code = make()
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(marshal.dumps(code))
        partial.rename(path)  # others read it meanwhile
        return code

    def compiled_template(self: Any, source: Any, *arguments: Any, **options: Any) -> Any:
        def make() -> Any:
            return compile_template(self, source, *arguments, **options)

        return make() if arguments or options or not isinstance(source, str) else kept(self, "template", source, make)

    def compiled_expression(self: Any, source: str, undefined_to_none: bool = True) -> Any:
        def make() -> Any:
            made: list[Any] = []
            inner = self._compile

            def caught(*arguments: Any) -> Any:
                made.append(inner(*arguments))
                return made[-1]

            self._compile = caught
            try:
                compile_expression(self, source, undefined_to_none)
            finally:
                del self._compile
            return made[-1]

        code = kept(self, "expression", source, make)
        template = self.template_class.from_code(self, code, self.make_globals(None), None)
        return jinja2.environment.TemplateExpression(template, undefined_to_none)

    environment.compile, environment.compile_expression = compiled_template, compiled_expression


def wrap_variables_faster() -> None:
    """Every template wraps all variables anew, which takes a fifth of the time of a task's process: in C half of that."""
    from ansible._internal._templating import _lazy_containers, _utils

    lazy, context = cast(Any, _lazy_containers), cast(Any, _utils).TemplateContext

    class Value:
        __slots__ = ("value",)

        def __init__(self, value: Any) -> None:
            self.value = value

    def wrapped(values: Any, lazy_options: Any) -> Any:
        source = zip(values.keys(), map(Value, values.values()))
        return lazy._LazyValueSource(source=source, templar=context.current().templar, lazy_options=lazy_options)

    lazy._LazyValue = Value
    lazy._AnsibleLazyTemplateDict._lazy_values = staticmethod(wrapped)


def start_modules_faster(local: Any, server: Any) -> None:
    """Have what that connection to this machine runs started by a fork server, where it is a module that runs as who plays."""
    execute = local.exec_command

    def executed(self: Any, command: Any, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        program = "" if in_data or self.become else server.program_of(command)
        if program:
            self._connect()
            return cast("tuple[int, bytes, bytes]", server.run(program, os.fsdecode(self.cwd or os.getcwd())))
        return cast("tuple[int, bytes, bytes]", execute(self, command, in_data, sudoable))

    local.exec_command = executed


@functools.cache
def preload(start_server: Callable[[], Any]) -> None:
    """Load what nearly every task's process needs, once; it is called before each play."""
    import ansible.plugins.loader

    loader: Any = ansible.plugins.loader
    loader.filter_loader.get("dbops.alembic.printable")  # with it all filters of the collection, and Ansible's own
    loader.test_loader.get("ansible.builtin.defined")
    for name in ("debug", "fail", "assert", "set_fact", "normal", "include_vars", "set_stats", "validate_argument_spec", "command"):
        loader.action_loader.get(f"ansible.builtin.{name}", class_only=True)
    for name in ("alembic_info", "alembic_upgrade"):
        loader.action_loader.get(f"dbops.alembic.{name}", class_only=True)
    for name in ("env", "template", "file"):
        loader.lookup_loader.get(f"ansible.builtin.{name}", class_only=True)
    start_modules_faster(loader.connection_loader.get("ansible.builtin.local", class_only=True), start_server())
    loader.shell_loader.get("sh", class_only=True)


def main() -> None:
    sys.path[0] = str(Path(__file__).parents[1])
    from support import forkserver

    sys.path.pop(0)  # the folder of the tests, whose names are nobody's business
    import ansible.constants
    import ansible.executor.module_common
    import ansible.executor.task_queue_manager

    constants: Any = ansible.constants
    module_common: Any = ansible.executor.module_common
    task_queue_manager: Any = ansible.executor.task_queue_manager
    cache = Path(os.environ["ANSIBLE_HOME"]).parent
    tree = Path(os.environ["ANSIBLE_COLLECTIONS_PATH"])
    kept = archives(cache, tree)
    os.symlink(kept, Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))
    reuse_templates(kept / "templates")
    wrap_variables_faster()
    gc.disable()
    constants.DEFAULT_INTERNAL_POLL_INTERVAL = INTERVAL
    add = module_common._add_module_to_zip

    def add_and_compile(archive: Any, *arguments: Any) -> None:
        add(archive, *arguments)
        compiled(archive)

    module_common._add_module_to_zip = add_and_compile
    run = task_queue_manager.TaskQueueManager.run

    def run_preloaded(self: Any, play: Any) -> Any:
        preload(forkserver.Server)  # by now the collections can be found
        return run(self, play)

    task_queue_manager.TaskQueueManager.run = run_preloaded
    from ansible.cli.playbook import main as playbook

    sys.argv[0] = "ansible-playbook"
    playbook()


if __name__ == "__main__":
    main()
