"""A smoke test on Chromium's own fake microphone, through the real getUserMedia."""

from pathlib import Path

from tests.browser.call import UTTERANCES, Call
from tests.browser.conftest import CHROMIUM_FLAGS
from tests.browser.waiting import wait_until


def test_a_sentence_spoken_into_a_real_capture_device_is_answered(product, playwright_driver, chromium_path):
    speech: Path = UTTERANCES / "kokoro_af_heart_u26.wav"
    flags = [
        *CHROMIUM_FLAGS,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    ]
    browser = playwright_driver.chromium.launch(executable_path=chromium_path, args=flags)
    page = browser.new_page(base_url=product.url)
    call = Call(page)
    page.goto("/")
    call.talk()
    # The device says it again and again: on a machine too busy to hear it whole the first time, another one is heard.
    wait_until(lambda: any(speaker == "caller" and "Friday" in text for speaker, text in call.captions()), 240)
    call.hang_up()
    browser.close()
