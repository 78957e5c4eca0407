from medexp.sweep.retrain import retrain_command


def test_the_command_is_that_of_the_best_alone() -> None:
    fixed = ["model=simple_cnn", "data.aug=none", "search=optuna", "search.n_trials=4", "hydra/launcher=ray"]
    assert retrain_command(fixed, ["data.aug=strong"]) == ("python scripts/train.py model=simple_cnn data.aug=strong")


def test_the_command_shows_no_password() -> None:
    command = retrain_command(["'tracking.uri=postgresql://me:s3cret@host/db'", "tracking.uri=sqlite:////x.db"], [])
    assert "s3cret" not in command
    assert "sqlite:////x.db" in command
