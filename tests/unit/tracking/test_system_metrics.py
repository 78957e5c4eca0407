"""What the machine does is sampled, and nothing that goes wrong there reaches the run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from support import wait_until

from medexp.tracking.system_metrics import SystemMetrics

Samples = list[tuple[int, Mapping[str, float]]]


def test_mlflows_names_are_sampled_with_steps_that_go_on() -> None:
    samples: Samples = []
    monitor = SystemMetrics(lambda numbers, step: samples.append((step, numbers)), every=0.05, first_step=7)
    monitor.start()
    sum(range(3_000_000))
    wait_until(lambda: len(samples) >= 3, seconds=20, what="three samples")
    monitor.stop()
    count = len(samples)
    assert [step for step, _ in samples] == list(range(7, 7 + count))
    names = {
        "system/cpu_utilization_percentage",
        "system/system_memory_usage_megabytes",
        "system/disk_usage_percentage",
    }
    assert names <= set(samples[0][1])
    assert samples[0][1]["system/system_memory_usage_percentage"] > 0
    time.sleep(0.2)
    assert len(samples) == count, "it has stopped"
    assert not [thread for thread in threading.enumerate() if thread.name == "medexp-system-metrics"]


def test_the_shortest_run_has_a_sample() -> None:
    samples: Samples = []
    monitor = SystemMetrics(lambda numbers, step: samples.append((step, numbers)), every=10)
    monitor.start()
    monitor.stop()
    monitor.stop()
    assert [step for step, _ in samples] == [0]


def test_without_a_pause_nothing_is_sampled() -> None:
    monitor = SystemMetrics(lambda numbers, step: 1 / 0, every=None)
    monitor.start()
    monitor.stop()


def test_what_fails_is_not_raised() -> None:
    calls = []

    def log(numbers: Mapping[str, float], step: int) -> None:
        calls.append(step)
        raise OSError("no room")

    monitor = SystemMetrics(log, every=0.01)
    monitor.start()
    wait_until(lambda: len(calls) > 2, seconds=20, what="three attempts")
    monitor.stop()


def test_it_keeps_no_process_alive() -> None:
    program = (
        "from medexp.tracking.system_metrics import SystemMetrics\n"
        "SystemMetrics(lambda numbers, step: None, every=60).start()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
