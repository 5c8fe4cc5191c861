import pytest

from local_models.receptionist.instructions import read
from tests.factories import make_organisation
from voice import agents
from voice.agents import TEMPLATES, TooManyAgents, create_agent, pause_agent, resume_agent
from voice.models import Agent, Template


def test_every_kind_of_agent_has_a_template():
    assert set(TEMPLATES) == set(Template.values)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_draft_fits_the_model(db, kind):
    Agent(organisation=make_organisation(), **TEMPLATES[kind].draft()).full_clean()


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_embedded_receptionist_takes_no_rule_of_behaviour_for_a_fact(kind):
    brief = read(TEMPLATES[kind].instructions)
    assert [fact.text for fact in brief.facts if not fact.about] == []


def test_the_embedded_receptionist_finds_the_business_and_its_facts():
    brief = read(TEMPLATES[Template.APPOINTMENT].instructions)
    assert brief.business == "Rosewood Dental"
    assert {"Opening hours", "Prices", "Do you see children?"} <= {fact.about for fact in brief.facts}


def test_the_embedded_receptionist_finds_the_steps():
    brief = read(TEMPLATES[Template.TROUBLESHOOTING].instructions)
    assert [len(guide.steps) for guide in brief.guides] == [5, 3]


def test_only_language_practice_is_limited_without_a_key(settings):
    assert [kind for kind, template in TEMPLATES.items() if template.is_limited_here] == [Template.LANGUAGE_PRACTICE]
    settings.OPENAI_API_KEY = "sk-test"
    assert not any(template.is_limited_here for template in TEMPLATES.values())


def test_an_organisation_has_room_for_so_many_agents_and_no_more(db, monkeypatch):
    monkeypatch.setattr(agents, "MOST_AGENTS", 1)
    organisation = make_organisation()
    create_agent(organisation, TEMPLATES[Template.FAQ].draft())
    with pytest.raises(TooManyAgents):
        create_agent(organisation, TEMPLATES[Template.FAQ].draft())
    assert organisation.agents.count() == 1


def test_a_paused_agent_can_be_resumed(db):
    agent = create_agent(make_organisation(), TEMPLATES[Template.FAQ].draft())
    pause_agent(agent)
    assert not Agent.objects.get().is_active
    resume_agent(agent)
    assert Agent.objects.get().is_active


def test_a_draft_speaks_for_the_organisation_it_is_made_for():
    draft = TEMPLATES[Template.APPOINTMENT].draft("Kestrel Plumbing")
    assert draft["greeting"].startswith("Hello, this is Kestrel Plumbing.")
    assert "Rosewood" not in draft["instructions"]
