"""The table says what was measured and whether an aim was met."""

from bench.contenders import CONTENDERS, DIRECT
from bench.report import render
from bench.sessions import Figures, Outcome, Schedule
from bench.turns import Turn
from bench.voice_to_voice import Turns

SCHEDULE = Schedule(few=10, many=50, ramp=(), window_s=10.0, ramp_window_s=5.0, frame_sizes_ms=(20,), ramp_frame_ms=40)


def outcome(
    name: str, *, cpu: float, p50: float = 1.0, p99: float = 2.0, memory: float | None = 100.0, late: float = 0.3
) -> Outcome:
    contender = next(each for each in (DIRECT, *CONTENDERS) if each.name == name)
    figures = [
        Figures(
            sessions=sessions,
            frame_ms=20,
            cpu_ms_per_session_s=cpu,
            round_trip_p50_ms=p50,
            round_trip_p99_ms=p99,
            rss_kb=50_000,
            frames_per_session_s=50.0,
            lost=0,
            load_share=0.2,
            mock_share=0.1,
            send_late_p99_ms=late,
        )
        for sessions in (10, 50)
    ]
    return Outcome(contender, figures, rss_per_session_kb=memory)


def rendered(*outcomes: Outcome, turns: Turns | None = None) -> str:
    direct = outcome("direct", cpu=0.0, p50=0.4, p99=0.9, memory=None)
    return render(["2 cores"], SCHEDULE, 5_000, [direct, *outcomes], turns, took_s=60)


def row_of(report: str, text: str) -> str:
    return next(line for line in report.splitlines() if text in line)


def test_delay_is_shown_without_the_baseline():
    assert "0.6 / 1.6" in row_of(rendered(outcome("uvicorn", cpu=5.0)), "Parley on uvicorn**")


def test_an_aim_that_is_met_says_so():
    report = rendered(outcome("uvicorn", cpu=5.0), outcome("litellm", cpu=10.0))
    assert row_of(report, "uvicorn at most 0.6 of litellm").endswith("| 0.50 | met |")


def test_an_aim_that_is_missed_says_so():
    report = rendered(outcome("uvicorn", cpu=7.0), outcome("litellm", cpu=10.0))
    assert row_of(report, "uvicorn at most 0.6 of litellm").endswith("| 0.70 | MISSED |")


def test_a_contender_that_could_not_be_measured_keeps_its_row():
    litellm = Outcome(next(each for each in CONTENDERS if each.name == "litellm"), remark="not measured: no network")
    assert "not measured: no network" in rendered(outcome("uvicorn", cpu=5.0), litellm)


def test_a_run_on_a_busy_machine_says_that_it_means_nothing():
    assert "say nothing" in rendered(outcome("uvicorn", cpu=5.0, late=300.0))
    assert "say nothing" not in rendered(outcome("uvicorn", cpu=5.0))


def test_the_middle_turn_decides_over_voice_to_voice():
    turns = Turns([Turn(600, 500, 0, 60, 40), Turn(700, 500, 0, 150, 50), Turn(5000, 500, 0, 4450, 50)])
    report = rendered(turns=turns)
    assert "| 700 | 600 | 5000 |" in row_of(report, "first sound")
    assert "(median): met" in report
