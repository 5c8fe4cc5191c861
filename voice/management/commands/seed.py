"""manage.py seed: the catalogue, the bundles on sale, and the demo that the front page offers. Safe to repeat."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.bundles import seed_bundles
from voice.catalogue.seed import seed_catalogue
from voice.demo import seed_demo


class Command(BaseCommand):
    help = "Fills the catalogue and the bundles, and makes the demo agent. Repeating it changes nothing that is there."

    def handle(self, *args: Any, **options: Any) -> None:
        seed_catalogue()
        seed_bundles()
        agent, made = seed_demo()
        self.stdout.write(f"The demo agent is {agent.name}{' (made now)' if made else ''}.")
