"""What axe, which looks for barriers to people with disabilities, finds wrong with a page as it is now."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page

_AXE = Axe()
# Only what is asked for comes back: a page passes hundreds of checks.
_RUN = "axe.run({ resultTypes: ['violations'] }).then(results => results.violations)"


def violations_of(page: Page | Frame) -> list[dict[str, Any]]:
    # Half a megabyte of script, which a page that is looked at in several ways reads once.
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.axe_script)
    return page.evaluate(_RUN)
