"""The aliases of one registered model, and which versions were champion before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medexp.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_HISTORY = "medexp.champions"  # of the registered model: versions in the order they were appointed
_KEPT = 100  # of them


class Lineage:
    """Reads and sets the aliases of one registered model; each call is one write, and repeating it changes nothing.

    Args:
        client: of the store.
        name: of the registered model; it need not exist to be read.
    """

    def __init__(self, client: MlflowClient, name: str) -> None:
        self._client = client
        self._name = name

    def aliases(self) -> dict[str, str]:
        """The version that each alias names; empty where there is no such model."""
        found = self._model()
        return {} if found is None else {alias: str(version) for alias, version in found.aliases.items()}

    def champion(self) -> str | None:
        """The version that is served."""
        return self.aliases().get(CHAMPION)

    def history(self) -> tuple[str, ...]:
        """The champions in the order they were appointed, the present one last.

        An alias that was moved by hand counts: what it names is last, after what was recorded.
        """
        found = self._model()
        champion = self.champion()
        if found is None or champion is None:
            return ()
        recorded = tuple(found.tags.get(_HISTORY, "").split())
        if recorded and recorded[-1] == champion:
            return recorded
        previous = self.aliases().get(PREVIOUS)
        before = recorded or ((previous,) if previous not in (None, champion) else ())
        return (*(number for number in before if number is not None), champion)

    def version(self, number: str) -> ModelVersion:
        """Return a version (RegistryError: there is none)."""
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_model_version(self._name, number)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise RegistryError(f"The version is gone. Received: {self._name} version {number}.") from error

    def of_run(self, run_id: str) -> str | None:
        """The latest version that was registered from a run; None where there is none."""
        known = self._client.search_model_versions(f"name = '{self._name}' and run_id = '{run_id}'")
        return str(max(int(one.version) for one in known)) if known else None

    def create(self) -> None:
        """Make the registered model, where there is none."""
        if self._model() is None:
            self._client.create_registered_model(self._name)

    def set(self, alias: str, number: str | None) -> None:
        """Give an alias to a version, or take it away."""
        if self.aliases().get(alias) == number:
            return
        if number is None:
            self._client.delete_registered_model_alias(self._name, alias)
        else:
            self._client.set_registered_model_alias(self._name, alias, number)

    def remember(self, history: tuple[str, ...]) -> None:
        """Record which versions were champion, in their order."""
        self._client.set_registered_model_tag(self._name, _HISTORY, " ".join(history[-_KEPT:]))

    def _model(self) -> Any:
        found = self._client.search_registered_models(f"name = '{self._name}'", max_results=1)
        return found[0] if found else None
