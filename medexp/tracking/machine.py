"""What the bits of a training depend on beside code and data: processor, threads, devices."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

_INSTRUCTIONS = ("sse4", "avx", "fma", "amx", "asimd", "sve")
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_NUM_THREADS",
    "TF_CUDNN_DETERMINISTIC", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "XLA_FLAGS",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return what of this machine and process can change the last bits of a result.

    Sums are shared out over threads and vector registers, so that another number of cores, another instruction set or
    a GPU may add in another order: `cores` is those that this process may use, `threads` the backend's own settings
    (0: as many as cores), `variables` those of the environment that choose kernels. `device` is None until Keras is
    loaded.
    """
    model, flags = _processor()
    return {
        "architecture": platform.machine(),
        "processor": model,
        "instructions": sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS)),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": _threads(),
        "device": _device(),
        "devices": _devices(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _processor() -> tuple[str, list[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor(), []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = facts.get("model name") or facts.get("CPU part") or platform.processor()
    return model, (facts.get("flags") or facts.get("Features") or "").split()


def _threads() -> dict[str, int]:
    tensorflow: Any = sys.modules.get("tensorflow")
    if tensorflow is None:
        return {}
    threading = tensorflow.config.threading
    return {
        "intra_op": threading.get_intra_op_parallelism_threads(),
        "inter_op": threading.get_inter_op_parallelism_threads(),
    }


def _device() -> str | None:
    """The kind of device that Keras computes on: cpu, gpu, tpu."""
    keras: Any = sys.modules.get("keras")
    if keras is None:
        return None
    kinds = {name.partition(":")[0] for name in keras.distribution.list_devices()}
    return next((kind for kind in ("tpu", "gpu") if kind in kinds), "cpu")


def _devices() -> list[str]:
    """The names of the accelerators, where TensorFlow tells them."""
    tensorflow: Any = sys.modules.get("tensorflow")
    if tensorflow is None:
        return []
    config = tensorflow.config
    found = config.get_visible_devices("GPU")
    return [config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in found]
