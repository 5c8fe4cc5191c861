"""What axe, which looks for barriers to people with disabilities, finds wrong with a page as it is now."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page

_AXE = Axe()
# Only what is asked for comes back: a page passes hundreds of checks.
_RUN = "axe.run({ resultTypes: ['violations'] }).then(results => results.violations)"
# Colours are not measured on their way from one to another, nor before they set out: a busy machine draws a page in
# other colours a moment after it was asked to. What moves for ever is not waited for, nor a frame that is not drawn.
_AT_REST = """async () => {
  const drawn = () => new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 250); });
  await drawn();
  await drawn();
  const moving = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime < Infinity);
  await Promise.allSettled(moving.map((each) => each.finished));
  return true;
}"""


def violations_of(page: Page | Frame) -> list[dict[str, Any]]:
    # Half a megabyte of script, which a page that is looked at in several ways reads once.
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.axe_script)
    page.evaluate(_AT_REST)
    return page.evaluate(_RUN)
