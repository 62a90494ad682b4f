import json
import subprocess
import sys

import segdistill

PUBLIC = {
    *("Distill", "Model", "ModelCard", "Protocol", "demo", "distill", "load_model", "load_teacher"),
    *("predict", "read_dataset", "read_image", "simulate_tissue", "__version__"),
}


def test_public_names_do_not_vanish():
    assert set(dir(segdistill)) == PUBLIC
    assert all(getattr(segdistill, name) is not None for name in PUBLIC)


def test_importing_loads_nothing_heavy_and_changes_nothing():
    code = """
import os, sys, threading
before = dict(os.environ), threading.active_count()
import segdistill, segdistill.settings, segdistill.cli, segdistill.networks, segdistill.teachers, segdistill.study
heavy = {"torch", "transformers", "timm", "lightning", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
assert before == (dict(os.environ), threading.active_count())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


WINDOWS = """
import builtins, importlib, json, os, signal, sys, types
from pathlib import Path

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
NAMES = {
    "os": "WNOHANG chown chroot ctermid fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpriority"
    " getuid initgroups killpg major mkfifo mknod nice openpty pathconf posix_fadvise posix_fallocate posix_spawn pread"
    " pwrite register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile setgid setpgid setpriority"
    " setsid setuid statvfs sysconf uname wait4",
    "signal": "SIGALRM SIGBUS SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 SIGXFSZ alarm pause pthread_kill"
    " pthread_sigmask setitimer sigwait",
    "sys": "getdlopenflags setdlopenflags",
}
INSTEAD = {"os": {"name": "nt"}, "sys": {"platform": "win32"}}

def as_there(module):
    there = types.ModuleType(module.__name__)
    gone = NAMES[module.__name__].split()
    vars(there).update({name: value for name, value in vars(module).items() if name not in gone})
    vars(there).update(INSTEAD.get(module.__name__, {}))
    return there

THERE = {module.__name__: as_there(module) for module in (os, signal, sys)}
usual = builtins.__import__

def imported(name, globals=None, locals=None, fromlist=(), level=0):
    ours = str((globals or {}).get("__name__")).partition(".")[0] == "segdistill"
    if ours and level == 0 and name.partition(".")[0] in MODULES:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    found = usual(name, globals, locals, fromlist, level)
    return THERE.get(found.__name__, found) if ours and level == 0 else found

builtins.__import__ = imported

def fails(line, name="segdistill.invented"):
    try:
        exec(line, {"__name__": name})
    except (ImportError, AttributeError):
        return True

lines = "import fcntl", "from pwd import getpwuid", "import os; os.fork", "from signal import SIGKILL"
assert all(map(fails, lines)) and not any(fails(line, "another") for line in lines)

import segdistill
root = Path(segdistill.__file__).parent
names = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in sorted(root.rglob("*.py"))]
names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
broken = {}
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        broken[name] = repr(error)

from segdistill.cli import status
from segdistill.cli.app import COMMANDS
helps = [status([*command, "--help"]) for command in ((), *((each,) for each in COMMANDS))]
print(json.dumps({"names": names, "broken": broken, "helps": helps}))
"""


def test_every_module_is_imported_and_every_command_explained_without_what_windows_lacks():
    result = subprocess.run([sys.executable, "-c", WINDOWS], check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["broken"] == {}
    assert set(found["helps"]) == {0}
    assert len(found["names"]) == len(set(found["names"])) > 400
