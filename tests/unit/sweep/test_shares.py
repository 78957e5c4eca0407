from __future__ import annotations

from medexp.sweep.shares import Share, shares


def test_a_single_trial_uses_all_there_is() -> None:
    assert shares(1, cores=[0, 1, 2, 3], environment={"CUDA_VISIBLE_DEVICES": "0,1"}) == (Share(),)


def test_neighbouring_cores_are_dealt_out_and_none_is_left() -> None:
    dealt = shares(3, cores=[9, 8, 3, 2, 1], environment={})
    assert [share.cores for share in dealt] == [(1,), (2, 3), (8, 9)]


def test_more_trials_than_cores_share_them() -> None:
    assert [share.cores for share in shares(3, cores=[4, 5], environment={})] == [(4,), (5,), (4,)]


def test_gpus_that_are_listed_are_dealt_out() -> None:
    dealt = shares(2, cores=[0, 1], environment={"CUDA_VISIBLE_DEVICES": "0,2,3,5"})
    assert [share.environment for share in dealt] == [{"CUDA_VISIBLE_DEVICES": "0,2"}, {"CUDA_VISIBLE_DEVICES": "3,5"}]


def test_a_single_gpu_is_left_to_all() -> None:
    dealt = shares(2, cores=[0, 1], environment={"CUDA_VISIBLE_DEVICES": "1"})
    assert [share.environment for share in dealt] == [{}, {}]
