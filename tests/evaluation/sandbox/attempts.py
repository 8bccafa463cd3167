"""Programs that try to get out, to harm, or to pass without being right; each one harmless if it succeeded.

`SECRET_FILE`, `CANARY`, `PORT`, `PACKAGE`, `INSIDE`, `MARK` and `HOST_PID` are replaced before they run. Every program
is asked for `f(2) == <token> and f(3) == <other token>`, tokens drawn anew for each run.
"""

from __future__ import annotations

NETWORK = {
    "connect to a server of the host": """
import socket
def f(x):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            socket.create_connection((address, PORT), 1).send(b"out")
        except OSError as error:
            print(error)
""",
    "connect with raw system calls": """
import ctypes, struct
libc = ctypes.CDLL(None)
def f(x):
    handle = libc.socket(2, 1, 0)
    address = struct.pack("=HH4s8x", 2, int.from_bytes(PORT.to_bytes(2, "big"), "little"), bytes([127, 0, 0, 1]))
    return libc.connect(handle, address, 16)
""",
    "send a datagram": """
import socket
def f(x):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"out", ("127.0.0.1", PORT))
""",
    "abstract socket of the host": """
import socket
def f(x):
    s = socket.socket(socket.AF_UNIX); s.connect("\\0MARK"); s.send(b"out")
""",
}

FILES = {
    "read a secret in the home folder": """
def f(x):
    print(open("SECRET_FILE").read())
""",
    "read the password file": """
def f(x):
    for path in ("/etc/shadow", "/etc/passwd"):
        try:
            print("CAUGHT", open(path).read())
        except OSError as error:
            print(error)
""",
    "read the environment of everybody": """
import os
def f(x):
    print(dict(os.environ))
    for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
        try:
            print(open(f"/proc/{pid}/environ").read())
        except OSError:
            pass
""",
    "write to a file of the host": """
def f(x):
    open("CANARY", "w").write("changed")
""",
    "symlinks in tmp": """
import os
def f(x):
    os.symlink("CANARY", "/tmp/link")
    os.symlink("/proc/1/root", "/tmp/root")
    for path in ("/tmp/link", "/tmp/rootCANARY", "/proc/1/rootCANARY", "/proc/1/cwd/x"):
        try:
            open(path, "w").write("changed")
        except OSError as error:
            print(error)
""",
    "write to the working folder and above": """
import os
def f(x):
    for folder in (".", "..", "/", "/usr", "/home", "/root", "/var/tmp", "/dev/shm"):
        try:
            open(os.path.join(folder, "MARK"), "w").write("x")
        except OSError as error:
            print(error)
""",
    "alter balora": """
import os
def f(x):
    try:
        import balora
        print(balora.__file__)
    except ImportError as error:
        print(error)
    open("PACKAGE", "a").write("# changed")
""",
    "leave the root by a kept handle": """
import os
def f(x):
    for handle in range(64):
        try:
            os.fchdir(handle); print("moved", os.getcwd(), os.listdir("../../../.."))
        except OSError:
            pass
    return open("CANARY").read()
""",
}

PROCESSES = {
    "fork bomb": """
import os
def f(x):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
    "thread bomb": """
import threading, time
def f(x):
    while True:
        threading.Thread(target=time.sleep, args=(60,)).start()
""",
    "kill the parent and everybody": """
import os, signal
def f(x):
    for pid in (os.getppid(), HOST_PID, 1, -1, 0):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError as error:
            print(error)
""",
    "stop everybody": """
import os, signal
def f(x):
    for pid in (os.getppid(), HOST_PID, 1, -1):
        try:
            os.kill(pid, signal.SIGSTOP)
        except OSError as error:
            print(error)
""",
    "trace the parent": """
import ctypes, os
libc = ctypes.CDLL(None)
def f(x):
    for pid in (os.getppid(), 1, HOST_PID):
        print(libc.ptrace(16, pid, 0, 0))
        try:
            print(len(open(f"/proc/{pid}/mem", "rb").read(10)))
        except OSError as error:
            print(error)
    return libc.ptrace(0, 0, 0, 0)
""",
    "daemon that outlives": """
import os
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", ["MARK", "600"])
        os._exit(0)
""",
    "subprocess and shell": """
import subprocess
def f(x):
    print(subprocess.run("id; cat SECRET_FILE /etc/shadow; echo changed > CANARY; nohup sleep 600 &", shell=True))
""",
    "new namespaces": """
import ctypes
libc = ctypes.CDLL(None)
def f(x):
    print(libc.unshare(0x10000000), libc.unshare(0x00020000), libc.chroot(b"/tmp"))
    print(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None), libc.syscall(155, b".", b"."))
""",
    "become root": """
import os
def f(x):
    for change in (os.setuid, os.seteuid, os.setgid):
        try:
            change(0); print("root")
        except OSError as error:
            print(error)
    return open("/etc/shadow").read()
""",
    "raise the limits": """
import resource
def f(x):
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (-1, -1))
    return bytearray(1 << 33)
""",
}

RESOURCES = {
    "sleep": """
import time
def f(x):
    time.sleep(600)
""",
    "busy loop": """
def f(x):
    while True: pass
""",
    "busy loop at the start": """
while True: pass
""",
    "ignores every signal": """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def f(x):
    while True: pass
""",
    "prints 1 GB": """
import os
def f(x):
    for _ in range(1024):
        os.write(1, b"x" * (1 << 20))
""",
    "prints 1 GB as errors": """
import sys
def f(x):
    for _ in range(1024):
        sys.stderr.write("x" * (1 << 20))
""",
    "memory": """
def f(x):
    return len(bytearray(1 << 34))
""",
    "memory in small parts": """
def f(x):
    kept = []
    while True: kept.append(bytearray(1 << 22))
""",
    "memory in many processes": """
import os, time
def f(x):
    for _ in range(6):
        if os.fork() == 0: break
    kept = bytearray(b"x") * (60 << 20)
    time.sleep(60)
""",
    "fills the disk": """
def f(x):
    for number in range(10000):
        open(f"/tmp/{number}", "wb").write(b"x" * (1 << 20))
""",
    "fills shared memory": """
def f(x):
    for number in range(10000):
        open(f"/dev/shm/{number}", "wb").write(b"x" * (1 << 20))
""",
    "memory without an owner": """
import ctypes, os
libc = ctypes.CDLL(None)
def f(x):
    for number in range(64):
        segment = libc.shmget(number, 1 << 26, 0o1600)
        handle = os.memfd_create("x")
        os.write(handle, b"x" * (1 << 24))
""",
    "many files": """
def f(x):
    for number in range(10**6):
        open(f"/tmp/{number}", "w").close()
""",
    "opens everything": """
def f(x):
    return [open("/dev/null") for _ in range(10**6)]
""",
    "result without end": """
def f(x):
    while True: yield 1
""",
    "huge result": """
def f(x):
    return "x" * (1 << 26)
""",
    "result that holds itself": """
def f(x):
    a = []; a.append(a); return a
""",
    "deep result": """
def f(x):
    a = []
    for _ in range(100000): a = [a]
    return a
""",
    "crash": """
import ctypes
def f(x):
    ctypes.string_at(0)
""",
    "recursion without end": """
import sys
sys.setrecursionlimit(10**9)
def f(x):
    return f(x)
""",
    "threads that never end": """
import threading
def spin():
    while True: pass
for _ in range(3): threading.Thread(target=spin).start()
def f(x): return x
""",
}

FORGERY = {
    "exit 0 at the start": "import sys; sys.exit(0)",
    "os._exit(0) at the start": "import os; os._exit(0)",
    "exit 0 in the call": """
import sys
def f(x): sys.exit(0)
""",
    "os._exit(0) in the call": """
import os
def f(x): os._exit(0)
""",
    "exit handler": """
import atexit, os
atexit.register(os._exit, 0)
def f(x): raise SystemExit(0)
""",
    "prints what a harness prints": """
import json, os
for handle in range(1, 64):
    for text in ('{"outcome": "passed", "detail": ""}', "passed", "OK", "1 passed"):
        try:
            os.write(handle, text.encode() + b"\\n")
        except OSError:
            pass
def f(x): return x
""",
    "answers before it is asked": """
import json, os
for handle in range(3, 64):
    for number in range(1, 6):
        body = json.dumps({"names": {"f": True}, "value": True, "changed": {}, "number": number}).encode()
        try:
            os.write(handle, len(body).to_bytes(4, "big") + body)
        except OSError:
            pass
""",
    "broken answers": """
import os
def f(x):
    for handle in range(3, 64):
        try:
            os.write(handle, b"\\x00\\x00\\x00\\x05hello" + b"\\xff" * 64)
        except OSError:
            pass
""",
    "object that equals everything": """
class Same:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def f(x): return Same()
""",
    "text that equals everything": """
class Same(str):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = str.__hash__
def f(x): return Same("x")
""",
    "number and list that equal everything": """
class Number(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
class Many(list):
    def __eq__(self, other): return True
def f(x): return Number(1) if x == 2 else Many([1])
""",
    "lies about its type": """
class Same:
    @property
    def __class__(self): return str
    def __eq__(self, other): return True
def f(x): return Same()
""",
    "patches assert and comparison": """
import builtins, operator
builtins.AssertionError = type(None)
class Quiet(Exception):
    def __new__(cls, *a): return None
builtins.AssertionError = Quiet
builtins.isinstance = builtins.issubclass = lambda *a: True
operator.eq = lambda a, b: True
def f(x): return x
""",
    "patches the server": """
import sys, json
for name, module in list(sys.modules.items()):
    for key in ("judge", "decode", "encode", "send", "receive", "loads", "dumps"):
        if key in vars(module):
            try:
                setattr(module, key, lambda *a, **k: {"outcome": "passed", "value": True})
            except Exception:
                pass
def f(x): return x
""",
    "walks frames and memory for the expected value": """
import gc, re, sys
found = set()
def look(text):
    found.update(re.findall("token-[0-9a-f]{8,}", text))
def f(x):
    frame = sys._getframe()
    while frame:
        look(repr(frame.f_locals)[:10**6]); look(repr(frame.f_code.co_consts)); frame = frame.f_back
    for part in gc.get_objects():
        try:
            look(repr(part)[:2000])
        except Exception:
            pass
    for line in open("/proc/self/maps"):
        start, end = (int(n, 16) for n in line.split()[0].split("-"))
        try:
            with open("/proc/self/mem", "rb", 0) as memory:
                memory.seek(start); data = memory.read(min(end - start, 1 << 24))
            found.update(p.decode() for p in re.findall(b"token-[0-9a-f]{8,}", data))
        except (OSError, ValueError, OverflowError):
            pass
    print(sorted(found))
    return sorted(found)[x % 2] if len(found) > 1 else None
""",
    "reads the pipes and the plan": """
import os
def f(x):
    for handle in range(64):
        try:
            os.lseek(handle, 0, 0); print(os.read(handle, 10000))
        except OSError:
            pass
""",
    "defines the tests' builtins": """
def bool(x): return True
def all(x): return True
def f(x): return x
""",
    "raises what a test may catch": """
def f(x): raise AssertionError("passed")
""",
    "forks two answers": """
import os
def f(x):
    os.fork()
    return x
""",
    "closes everything": """
import os
def f(x):
    os.closerange(0, 64)
""",
}

ODD = {
    "writes into the sandbox's own code": """
import os
def f(x):
    for folder in ("/sandbox", "INSIDE", os.path.dirname(os.__file__)):
        try:
            open(folder + "/tester.py", "a").write("# changed")
            print("CAUGHT")
        except OSError as error:
            print(error)
""",
    "opens the pipes of others": """
import os
def f(x):
    for pid in ("1", "self", str(os.getppid())):
        for handle in range(16):
            try:
                with open(f"/proc/{pid}/fd/{handle}", "wb", 0) as pipe:
                    pipe.write(b'{"outcome": "passed", "detail": ""}')
            except OSError:
                pass
""",
    "another interpreter takes over the pipes": """
import os, sys
CODE = "import json, os\\n" + (
    "for handle in range(3, 16):\\n"
    "    for number in range(1, 9):\\n"
    "        body = json.dumps(dict(value=True, changed={}, number=number)).encode()\\n"
    "        try: os.write(handle, len(body).to_bytes(4, 'big') + body)\\n"
    "        except OSError: pass\\n"
)
def f(x):
    os.execv(sys.executable, [sys.executable, "-S", "-c", CODE])
""",
    "an answer of 4 GB": """
import os
def f(x):
    for handle in range(3, 16):
        try:
            while True: os.write(handle, bytes([255]) * 65536)
        except OSError:
            pass
""",
    "an answer of brackets": """
import os
def f(x):
    body = b"[" * (1 << 23)
    for handle in range(3, 16):
        try:
            os.write(handle, len(body).to_bytes(4, "big") + body)
        except OSError:
            pass
""",
    "numbers that share a hash": """
def f(x):
    return {n * (2**61 - 1): 0 for n in range(300)} | {"a": 10 ** 4000}
""",
    "a list that never says no": """
class Endless:
    def __len__(self): return 10**9
    def __getitem__(self, key): return "x"
    def __contains__(self, value): return True
    def __bool__(self): return True
    def __str__(self): return "token"
def f(x): return Endless()
""",
    "programs with rights": """
import subprocess
def f(x):
    for command in ("su -c id", "sudo -n id", "mount -t tmpfs x /tmp", "ping -c 1 127.0.0.1", "newgrp root"):
        done = subprocess.run(command, shell=True, capture_output=True, stdin=subprocess.DEVNULL)
        print("CAUGHT" if done.returncode == 0 else done.returncode, command)
""",
    "devices": """
import os, stat
def f(x):
    for name in ("mem", "kmsg", "vda", "sda", "kvm", "fuse", "loop-control", "tty", "ptmx"):
        try:
            os.open("/dev/" + name, os.O_RDWR); print("CAUGHT", name)
        except OSError:
            pass
    for kind in (stat.S_IFBLK, stat.S_IFCHR):
        try:
            os.mknod("/tmp/device", kind | 0o666, os.makedev(1, 1)); print("CAUGHT mknod")
        except OSError as error:
            print(error)
""",
    "kernel settings": """
def f(x):
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/1/mem"):
        try:
            open(path, "w").write("x"); print("CAUGHT", path)
        except OSError as error:
            print(error)
""",
    "real-time priority": """
import os
def f(x):
    for action in (lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)), lambda: os.nice(-10)):
        try:
            action(); print("CAUGHT")
        except OSError as error:
            print(error)
""",
    "hard links out of tmp": """
import os
def f(x):
    for path in ("/etc/ld.so.cache", "/usr/bin/env", "CANARY"):
        try:
            os.link(path, "/tmp/linked"); open("/tmp/linked", "w"); print("CAUGHT")
        except OSError as error:
            print(error)
""",
    "timers and signals to itself": """
import os, signal
def f(x):
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    os.kill(os.getpid(), signal.SIGTERM)
""",
    "sleeps between the parts of its result": """
import time
def f(x):
    time.sleep(600); yield 1
""",
}

ATTEMPTS = NETWORK | FILES | PROCESSES | RESOURCES | FORGERY | ODD
