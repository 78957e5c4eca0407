"""A program that runs jobs by one of Hydra's launchers: `python launching.py FOLDER SLOTS SEED,SEED... OVERRIDE...`.

As in a sweep, the task function is one of `__main__`. What a job does is said by its seed. Prints what ended, as JSON;
Ctrl-C is heard and ignored, SIGTERM stops the jobs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode

from hydra_plugins.medexp_sweeper._launcher import LauncherJobs
from medexp.config.door import user_errors
from medexp.config.register import CONF, register
from medexp.errors import DataError

FINE, REFUSED, LEAVES, FAILS, WARNED, KILLED, SLEEPS = range(7)


def task(config: Any) -> float:
    """What one job does."""
    with user_errors():
        print(f"pid {os.getpid()}, in {Path.cwd()}, {os.environ.get('MEDEXP_WORD')}, {config.data.aug}", flush=True)
        if config.seed == REFUSED:
            raise DataError("no images")
        if config.seed == LEAVES:
            raise SystemExit(3)
        if config.seed == FAILS:
            raise ValueError("first line\nsecond line")
        if config.seed == WARNED:  # as SLURM does before a time limit
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(30)
        if config.seed == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if config.seed == SLEEPS:
            time.sleep(float(os.environ.get("MEDEXP_SLEEP", "60")))
        return float(config.sweep.trial)


def launch(folder: Path, *, slots: int, seeds: list[int], overrides: list[str]) -> None:
    """Keep the slots full until all jobs are over."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config("train", ["hydra.mode=MULTIRUN", *overrides], run_mode=RunMode.MULTIRUN)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
        jobs = LauncherJobs(context=context, task=task, config=config, folder=folder, slots=slots)
        signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
        signal.signal(signal.SIGTERM, lambda *_: jobs.stop())
        waiting, running = list(enumerate(seeds)), 0
        while waiting or running:
            while waiting and running < jobs.slots:
                number, seed = waiting.pop(0)
                jobs.start(number, [f"seed={seed}", f"sweep.trial={number}", "data.aug=strong"])
                running += 1
            for ended in jobs.poll(0.2):
                running -= 1
                print(json.dumps(asdict(ended)), flush=True)
        jobs.close()


if __name__ == "__main__":
    launch(Path(sys.argv[1]), slots=int(sys.argv[2]), seeds=json.loads(f"[{sys.argv[3]}]"), overrides=sys.argv[4:])
