from __future__ import annotations

import math

from evaluated import HISTORY

from medexp.evaluation.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, best_epoch, panels


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_the_best_epoch_is_the_first_of_the_best() -> None:
    rows = [{"val_auc": value} for value in (0.5, math.nan, 0.9, 0.9, 0.5)]
    assert best_epoch(rows, metric="val_auc", mode="max") == 3
    assert best_epoch(rows, metric="val_auc", mode="min") == 1
    assert best_epoch(rows, metric="val_loss", mode="min") is None
    assert best_epoch([], metric="val_auc", mode="max") is None


def test_lines_stay_within_the_axes_and_go_where_the_metric_goes() -> None:
    loss, auc, rate = panels(HISTORY, best=4)
    assert [panel.title for panel in (loss, auc, rate)] == ["loss", "auc", "learning rate"]
    for panel in (loss, auc, rate):
        for line in panel.lines:
            drawn = points(line.points)
            assert len(drawn) == len(HISTORY)
            assert drawn[-1] == line.dot
            assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in drawn)
    training, validation = auc.lines
    assert [y for _, y in points(training.points)] == sorted((y for _, y in points(training.points)), reverse=True)
    highest = min(points(validation.points), key=lambda point: point[1])
    assert highest[0] == auc.best


def test_a_line_is_where_its_ticks_say() -> None:
    _, auc, _ = panels(HISTORY, best=None)
    low, high = auc.y_ticks[0], auc.y_ticks[-1]
    per_unit = (low.at - high.at) / (float(high.text) - float(low.text))
    first = points(auc.lines[0].points)[0]
    assert math.isclose(float(low.text) + (low.at - first[1]) / per_unit, HISTORY[0]["auc"], abs_tol=0.002)
    assert auc.best is None


def test_epochs_without_a_number_are_left_out_and_one_epoch_is_a_dot() -> None:
    rows = [{"loss": 0.5, "val_loss": 0.6}, {"loss": math.nan, "val_loss": 0.5}, {"loss": 0.3, "val_loss": math.inf}]
    (panel,) = panels(rows, best=1)
    assert [len(points(line.points)) for line in panel.lines] == [2, 2]
    (alone,) = panels(rows[:1], best=1)
    assert [len(points(line.points)) for line in alone.lines] == [1, 1]
    assert alone.x_ticks[0].at == alone.lines[0].dot[0]
    assert panels([], best=None) == ()
    assert panels([{"loss": math.nan, "val_loss": math.nan}], best=None) == ()


def test_small_levels_are_short() -> None:
    rate = panels(HISTORY, best=None)[-1]
    assert all(len(tick.text) <= 6 for tick in rate.y_ticks)
