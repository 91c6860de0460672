"""The progress bar: what it goes over, and where it is shown."""

from paramrel.progress import progress


def test_it_goes_over_the_items_and_counts_what_was_done_before(capsys):
    bar = progress(range(3, 7), first=3, total=7)
    assert list(bar) == [3, 4, 5, 6] and bar.n == 7
    assert "7/7" in capsys.readouterr().err


def test_a_brief_one_says_nothing_in_a_log(capsys):
    assert list(progress(range(4), what="sampling", brief=True)) == [0, 1, 2, 3]
    assert capsys.readouterr().err == ""


def test_it_is_moved_by_hand_and_large_numbers_are_short(capsys):
    with progress(what="file", unit="B", total=2_000_000, scale=True) as bar:
        bar.update(2_000_000)
    shown = capsys.readouterr().err
    assert "file: 100%" in shown and "2.00M/2.00M" in shown
