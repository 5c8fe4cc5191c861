"""What the console's page "Use it from your code" gives to copy, run as it stands in the clients it is meant for."""

import json
import shlex
import ssl
import subprocess
import urllib.request

import pytest

from tests.clients.clients import LIMIT_S, MODEL
from voice.views.snippets import snippets_for

# Programs that go on for ever as they stand: what a customer would write below, to see that somebody answers.
UNTIL_ANSWERED = """
session.on("history_updated", (history) => {
  const words = history.filter((item) => item.role === "assistant").flatMap((item) => item.content ?? []);
  if (words.some((part) => part.transcript || part.text)) {
    console.log("answered");
    process.exit(0);
  }
});
"""
LIVEKIT = """
import asyncio, sys
from livekit.agents import utils

async def main():
    async with utils.http_context.open():
        names = {}
        exec(compile(sys.argv[1], "snippet", "exec"), names)
        realtime, opened = names["session"].llm.session(), asyncio.Event()
        realtime.on("openai_server_event_received", lambda event: opened.set())
        await asyncio.wait_for(opened.wait(), 120)
        await realtime.aclose()
    print("opened")

asyncio.run(main())
"""
PIPECAT = """
import asyncio, sys

async def main():
    names = {}
    exec(compile(sys.argv[1], "snippet", "exec"), names)
    print(type(names["llm"]).__name__)

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def snippets(site, rich):
    """The code of every snippet by its client, for this server and with a key that works."""
    host = site.url.removeprefix("https://")
    made = snippets_for(host=host, is_secure=True, key=site.keys(rich, ["snippets"])["snippets"], model=MODEL)
    return {snippet.id: snippet.code for snippet in made}


@pytest.fixture
def run(programs, tmp_path):
    def start(command, *, suffix="", code=""):
        """Run a command, with `code` as a file of its own at the end; return what it printed."""
        if suffix:
            command = [*command, str(programs.write(f"{tmp_path.name}{suffix}", code))]
        done = subprocess.run(
            command, cwd=programs.folder, env=programs.environment(), capture_output=True, text=True, timeout=LIMIT_S
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return start


def test_openai_python_prints_an_answer_and_what_it_used(run, programs, snippets):
    printed = run([programs.python], suffix=".py", code=snippets["openai-python"])
    answer, _, usage = printed.rpartition("\n ")
    assert answer.strip() and "total_tokens=" in usage


def test_openai_node_prints_an_answer_and_ends(run, programs, snippets):
    assert run([programs.node], suffix=".mjs", code=snippets["openai-node"]).strip()


def test_agents_realtime_is_answered(run, programs, snippets):
    printed = run([programs.node], suffix=".mjs", code=snippets["agents-realtime"] + UNTIL_ANSWERED)
    assert printed.rstrip().endswith("answered")


def test_livekits_model_opens_its_session(run, programs, snippets):
    assert run([programs.python, "-c", LIVEKIT, snippets["livekit"]]).rstrip().endswith("opened")


def test_pipecats_service_is_made_as_it_stands(run, programs, snippets):
    printed = run([programs.python, "-c", PIPECAT, snippets["pipecat"]])
    assert printed.rstrip().endswith("OpenAIRealtimeLLMService")


def test_each_command_of_curl_is_answered_as_it_stands(site, snippets):
    first, *requests = snippets["curl"].split("\n\n")
    name, _, key = first.removeprefix("export ").partition("=")
    in_full = [request.replace(f"${name}", key.strip('"')).replace("\\\n", "") for request in requests]
    answers = [sent(shlex.split(request), site) for request in in_full]
    call, chat, secret = answers
    assert call["ticket"] and call["session"]["metadata"] == {"order": "1234"}
    assert chat["choices"][0]["message"]["content"]
    assert secret["value"].startswith("ek_")


def sent(words, site):
    """Do what a command of curl says; return the answer, which is no error."""
    assert words[0] == "curl"
    options = list(zip(words[2::2], words[3::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    (body,) = [value for option, value in options if option == "-d"]
    request = urllib.request.Request(words[1], body.encode(), headers)
    trusted = ssl.create_default_context(cafile=str(site.certificate))
    with urllib.request.urlopen(request, timeout=LIMIT_S, context=trusted) as answer:
        return json.load(answer)
