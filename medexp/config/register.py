"""What Hydra must know before it composes: the project's root, and `data.aug` as a choice of policy."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def register(conf: Path = CONF) -> None:
    """Make `data.aug=<policy>` a group choice and `${medexp_root:}` an absolute path. Repeating it is harmless.

    Each file of `conf/augmentation/` becomes an option of a group literally named `data.aug`: a stub that
    includes the policy and copies its name to `data.aug`. So an unknown policy is Hydra's own error with the
    options, completion knows them, and a new policy is one YAML file.
    """
    store = ConfigStore.instance()
    for policy in sorted(path.stem for path in (conf / "augmentation").glob("*.yaml")):
        node = {"defaults": [{"/augmentation": policy}], "data": {"aug": "${augmentation.name}"}}
        store.store(group="data.aug", name=policy, package="_global_", node=node, provider="medexp")
    OmegaConf.register_new_resolver("medexp_root", lambda: str(ROOT), replace=True)
