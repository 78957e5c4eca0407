"""What the machine does during a run, under the names that MLflow's page of system metrics shows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger(__name__)
PREFIX = "system/"
_SOON = 1.0  # seconds until the first sample


class SystemMetrics:
    """Samples processor, memory, disk, network and, where there is one, graphics card in a thread of its own.

    The monitors are MLflow's own. A short run has one sample at least. Nothing that goes wrong here is raised.

    Args:
        log: takes the numbers and their step.
        every: seconds between samples; None: no samples.
        first_step: a resumed run goes on where it was.
    """

    def __init__(
        self, log: Callable[[Mapping[str, float], int], None], *, every: float | None, first_step: int = 0
    ) -> None:
        self._log = log
        self._every = every
        self._step = first_step
        self._samples = 0
        self._monitors: list[Any] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to sample."""
        if self._every is None:
            return
        self._monitors = _monitors()  # here: two threads that import the same modules may meet half of one
        self._thread = threading.Thread(target=self._work, name="medexp-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after a sample if there was none."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._end.set()
        thread.join(2.0)
        if self._samples == 0 and not thread.is_alive():
            self._sample()

    def _work(self) -> None:
        assert self._every is not None
        self._collect()  # the processor's load is measured from here, and per thread, to the first sample
        pause = min(self._every, _SOON)
        while not self._end.wait(pause):
            self._sample()
            pause = self._every

    def _sample(self) -> None:
        numbers = self._collect()
        try:
            self._log(numbers, self._step)
        except Exception as error:
            logger.info("system metrics could not be recorded: %s", error)
        self._step += 1
        self._samples += 1

    def _collect(self) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for monitor in list(self._monitors):
            try:
                monitor.collect_metrics()
                numbers |= {f"{PREFIX}{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
                monitor.clear_metrics()
            except Exception as error:  # a container may hide its network, a driver may go away
                logger.info("no more system metrics of %s: %s", type(monitor).__name__, error)
                self._monitors.remove(monitor)
        return numbers


def _monitors() -> list[Any]:
    """Those of MLflow's monitors that work here."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    found: list[Any] = []
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor, ROCMMonitor):
        try:
            found.append(kind())
        except Exception as error:
            logger.debug("no system metrics of %s: %s", kind.__name__, error)
    return found
