"""A Slurm of one node on loopback: real munged, slurmctld and slurmd, taken down afterwards."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

ETC = Path("/etc/slurm")
"""Where Slurm looks for its configuration. Naming another folder is not enough: in a job, Snakemake
takes all of Slurm's variables out of the environment."""

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={next_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# More cores and memory than there may be: groups of jobs ask for the sum of theirs.
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=30
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Return why no Slurm can be started here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} (on Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "slurmctld and slurmd are started as root here"
    if (ETC / "slurm.conf").exists():
        return f"this machine belongs to a Slurm already ({ETC / 'slurm.conf'})"
    return None


class Slurm:
    """A cluster of this machine alone, with a pretended GPU.

    Attributes:
        folder: where its state and logs lie.
        running: its daemons.
    """

    def __init__(self, folder: Path, port: int = 16817) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        host = os.uname().nodename.split(".")[0]
        ETC.mkdir(exist_ok=True)
        (ETC / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=host,
                folder=folder,
                port=port,
                next_port=port + 1,
            )
        )
        (ETC / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/zero\n")
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Slurm":
        at = self.folder
        self._start(
            "munged",
            "--foreground",
            "--force",
            f"--socket={at}/munge.socket",
            f"--key-file={at}/munge.key",
            f"--pid-file={at}/munge.pid",
            f"--log-file={at}/munge.log",
            f"--seed-file={at}/munge.seed",
        )
        self._wait("munged", lambda: (at / "munge.socket").exists())
        self._start("slurmctld", "-D")
        self.start_node()
        return self

    def __exit__(self, *_: object) -> None:
        self.run("scancel", "--user=root")
        for name in reversed(list(self.running)):
            self.kill(name, signal.SIGTERM)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()

    def start_node(self) -> None:
        """Start the node's daemon, and wait until it takes jobs."""
        self._start("slurmd", "-D")
        self._wait("slurmd", lambda: self.run("sinfo", "-h", "-o", "%T").strip() in STATES)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End one of the daemons."""
        daemon = self.running.pop(name)
        daemon.send_signal(how)
        daemon.wait(timeout=30)

    def run(self, *command: str) -> str:
        """Return what a command of Slurm's prints."""
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.running[name] = subprocess.Popen([name, *arguments], stdout=out, stderr=out)

    def _wait(self, name: str, ready: "object") -> None:
        deadline = time.monotonic() + 30
        while not ready():  # type: ignore[operator]
            if time.monotonic() > deadline or self.running[name].poll() is not None:
                raise RuntimeError((self.folder / f"{name}.out").read_text() or f"{name} is slow")
            time.sleep(0.2)


STATES = {"idle", "mixed", "allocated"}
