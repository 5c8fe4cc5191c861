"""A smoke test on Chromium's own fake microphone, through the real getUserMedia."""

import wave
from contextlib import closing

import pytest

from tests.browser.call import UTTERANCES, Call
from tests.browser.conftest import CHROMIUM_FLAGS
from tests.browser.waiting import wait_until

# Longer than a busy machine takes to write a sentence down: what comes meanwhile would have to wait for that, too.
PAUSE_S = 12


@pytest.fixture
def speech(tmp_path):
    """What the device says, again and again: a sentence, and a pause in which it can be understood and answered."""
    spoken = tmp_path / "speech.wav"
    with wave.open(str(UTTERANCES / "kokoro_af_heart_u26.wav")) as sentence, wave.open(str(spoken), "wb") as device:
        device.setparams(sentence.getparams())
        device.writeframes(sentence.readframes(sentence.getnframes()))
        device.writeframes(bytes(PAUSE_S * sentence.getframerate() * sentence.getsampwidth()))
    return spoken


def test_a_sentence_spoken_into_a_real_capture_device_is_answered(product, playwright_driver, chromium_path, speech):
    flags = [
        *CHROMIUM_FLAGS,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={speech}",
    ]
    # Closed also where it fails: it would talk on and on to the product that the other tests use.
    with closing(playwright_driver.chromium.launch(executable_path=chromium_path, args=flags)) as browser:
        page = browser.new_page(base_url=product.url)
        call = Call(page)
        page.goto("/")
        call.talk()
        # On a machine that was too busy to hear it whole the first time, the next one is heard.
        wait_until(lambda: any(speaker == "caller" and "Friday" in text for speaker, text in call.captions()), 240)
        call.hang_up()
