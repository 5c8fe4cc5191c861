"""The table says what was measured and whether an aim was met."""

from bench.contenders import CONTENDERS, DIRECT
from bench.report import render
from bench.rotation import Outcome
from bench.sessions import Figures, Schedule
from bench.turns import Turn
from bench.voice_to_voice import Turns

SCHEDULE = Schedule(sessions=50, rounds=3, settle_s=10.0, window_s=5.0, frame_sizes_ms=(20,), growth=None)


def figures(*, cpu: float, p50: float, p99: float, late: float) -> Figures:
    return Figures(
        sessions=50,
        frame_ms=20,
        cpu_ms_per_session_s=cpu,
        round_trip_p50_ms=p50,
        round_trip_p99_ms=p99,
        lost=0,
        load_share=0.2,
        mock_share=0.1,
        standing_by_share=0.01,
        send_late_p99_ms=late,
    )


def outcome(
    name: str, *cpus: float, p50: float = 1.0, p99: float = 2.0, late: float = 0.3, memory: float | None = 100.0
) -> Outcome:
    """One round for each of `cpus`."""
    contender = next(each for each in (DIRECT, *CONTENDERS) if each.name == name)
    rounds = {number: figures(cpu=cpu, p50=p50, p99=p99, late=late) for number, cpu in enumerate(cpus)}
    return Outcome(contender, rounds, rss_per_session_kb=memory)


def rendered(*outcomes: Outcome, turns: Turns | None = None, schedule: Schedule = SCHEDULE) -> str:
    direct = outcome("direct", 0.0, 0.0, 0.0, p50=0.4, p99=0.9, memory=None)
    return render(["2 cores"], schedule, 5_000, [direct, *outcomes], turns, took_s=60)


def row_of(report: str, text: str) -> str:
    return next(line for line in report.splitlines() if text in line)


def test_delay_is_shown_without_the_baseline():
    assert "| 0.6 / 1.6 |" in row_of(rendered(outcome("uvicorn", 5.0)), "| **Parley on uvicorn**")


def test_processor_time_is_the_median_round_beside_the_others():
    assert "| 5.0 (4.0–9.0) |" in row_of(rendered(outcome("uvicorn", 4.0, 9.0, 5.0)), "| **Parley on uvicorn**")


def test_an_aim_that_is_met_says_so():
    report = rendered(outcome("uvicorn", 5.0), outcome("litellm", 10.0))
    assert row_of(report, "uvicorn at most 0.6 of litellm").endswith("| 0.50 | met |")


def test_an_aim_that_is_missed_says_so():
    report = rendered(outcome("uvicorn", 7.0), outcome("litellm", 10.0))
    assert row_of(report, "uvicorn at most 0.6 of litellm").endswith("| 0.70 | MISSED |")


def test_who_is_compared_is_compared_within_each_round():
    # The machine was half as fast in the second round: the medians' own ratio would be 0.80.
    report = rendered(outcome("uvicorn", 5.0, 10.0, 8.0), outcome("litellm", 10.0, 20.0, 10.0))
    assert row_of(report, "uvicorn at most 0.6 of litellm").endswith("| 0.50 (0.50–0.80) | met |")


def test_the_median_round_decides_over_delay():
    late = outcome("uvicorn", 5.0, 5.0, 5.0)
    late.figures[1] = figures(cpu=5.0, p50=1.0, p99=9.4, late=0.3)
    assert row_of(rendered(late), "p99 added under").endswith("| 1.6 (1.6–9.0) ms | met |")


def test_a_contender_that_could_not_be_measured_keeps_its_row():
    litellm = Outcome(next(each for each in CONTENDERS if each.name == "litellm"), remark="not measured: no network")
    assert "not measured: no network" in rendered(outcome("uvicorn", 5.0), litellm)


def test_a_run_on_a_busy_machine_says_that_it_means_nothing():
    assert "say nothing" in rendered(outcome("uvicorn", 5.0, late=300.0))
    assert "say nothing" not in rendered(outcome("uvicorn", 5.0))


def test_a_round_of_three_in_which_the_machine_was_busy_does_not_spoil_the_median():
    busy_once = outcome("uvicorn", 5.0, 5.0, 5.0)
    busy_once.figures[1] = figures(cpu=5.0, p50=1.0, p99=300.0, late=300.0)
    assert "say nothing" not in rendered(busy_once)


def test_windows_that_lie_in_the_first_turn_are_said_to():
    short = Schedule(sessions=50, rounds=1, settle_s=1.0, window_s=2.0, frame_sizes_ms=(20,), growth=None)
    assert "**within their first turn" in rendered(outcome("uvicorn", 5.0), schedule=short)
    assert "after two turns" in rendered(outcome("uvicorn", 5.0))


def test_the_middle_turn_decides_over_voice_to_voice():
    turns = Turns([Turn(600, 500, 0, 60, 40), Turn(700, 500, 0, 150, 50), Turn(5000, 500, 0, 4450, 50)])
    report = rendered(turns=turns)
    assert "| 700 | 600 | 5000 |" in row_of(report, "first sound")
    assert "(median): met" in report
