"""The arithmetic of the bench; nothing here is timed."""

from bench.numbers import Spread, Stat, differences, family_of, parse_rss_kb, parse_stat, percentile, ratios, spread_of


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([5, 1, 4, 2, 3], 0.5) == 3
    assert percentile(list(range(1000)), 0.99) == 990


def test_the_highest_percentile_is_the_largest_value():
    assert percentile([1, 2, 3], 1.0) == 3


def test_nothing_measured_has_no_delay():
    assert percentile([], 0.99) == 0.0


def test_rounds_are_known_by_their_median_and_how_far_they_lie_apart():
    assert spread_of([3.0, 1.0, 2.0]) == Spread(median=2.0, lowest=1.0, highest=3.0)
    assert spread_of([]) is None


def test_a_spread_of_one_round_is_one_figure():
    assert Spread(2.0, 1.0, 3.0).shown(1) == "2.0 (1.0–3.0)"
    assert Spread(2.0, 2.0, 2.0).shown(1) == "2.0"


def test_ratios_are_those_of_rounds_that_both_were_measured_in():
    assert ratios({0: 1.0, 1: 3.0, 2: 5.0}, {1: 2.0, 2: 0.0, 3: 1.0}) == [1.5]


def test_differences_are_those_of_rounds_that_both_were_measured_in():
    assert differences({0: 1.0, 1: 3.0}, {1: 2.0, 2: 9.0}) == [1.0]


def test_a_process_whose_name_holds_brackets_is_read():
    line = "42 (odd) (name) S 7 42 42 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 8 0 100 1000 10 0 0 0\n"
    assert parse_stat(line) == Stat(parent=7, ticks=300)


def test_resident_memory_is_read_in_kilobytes():
    assert parse_rss_kb("Name:\tpython\nVmHWM:\t  900 kB\nVmRSS:\t   812 kB\n") == 812


def test_a_process_that_ends_has_no_memory():
    assert parse_rss_kb("Name:\tpython\nState:\tZ (zombie)\n") == 0


def test_a_family_holds_grandchildren_and_nobody_else():
    assert family_of(10, {10: 1, 11: 10, 12: 11, 20: 1, 21: 20}) == {10, 11, 12}
