"""The operating guide's commands are run as they stand in it; here is a reason for each other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import httpx
import pytest
import redis
import yaml

from deploy.local.stack import PACKED
from loadtests import sizes
from service.identity import Identity
from service.manifest import MANIFEST, load_manifest
from tests.parts.gateway import free_port
from tests.parts.helm import newest_helm, render
from tests.parts.prometheus import program
from tests.parts.redis import RedisServer, redis_binary
from tests.parts.require import missing_part
from tests.parts.simulator import simulator
from tests.unit.test_hints import FENCED

pytestmark = [pytest.mark.redis, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
OPERATING = ROOT / "docs" / "operating"
GUIDE = ("README.md", "install.md", "sizing.md", "changes.md", "data.md")


IN_A_LIST = re.compile(r"^   ```\w*\n.*?^   ```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """Where a block of a page stands: under which heading, and as which of its language."""

    page: str
    heading: str
    number: int = 0


TRIAL = Block("install.md", "A trial on Kubernetes")
MAKE_SECRETS = Block("install.md", "For real on Kubernetes", 0)
CHECK_RULES = Block("install.md", "For real on Kubernetes", 3)
SERVE = Block("install.md", "Plain processes", 1)
LOOK = Block("install.md", "Plain processes", 2)
ASK_VARIANT = Block("changes.md", "Another student, and back")
CHECK_ROLLOUT = Block("changes.md", "Another student, and back", 1)
BOTH_KEYS = Block("changes.md", "Rotate a caller's key", 0)
WAIT_FOR_BOTH = Block("changes.md", "Rotate a caller's key", 1)
NEW_KEY = Block("changes.md", "Rotate a caller's key", 2)
BOTH_SIGN = Block("changes.md", "Rotate the signing secret", 0)
NEW_SIGNS = Block("changes.md", "Rotate the signing secret", 1)
TEMPLATE = Block("changes.md", "Upgrade")
BACK_UP = Block("data.md", "Back Redis up")
RESTORE = Block("data.md", "Restore Redis", 0)
FORGET = Block("data.md", "Restore Redis", 1)
WRITE_LOG = Block("data.md", "Restore Redis", 2)
REBUILD = Block("data.md", "Rebuild the index")

RUN = {
    MAKE_SECRETS: "test_plain_processes_answer_and_their_secrets_are_rotated",
    CHECK_RULES: "test_what_needs_no_cluster_is_taken_by_helm_and_promtool",
    SERVE: "test_plain_processes_answer_and_their_secrets_are_rotated",
    LOOK: "test_plain_processes_answer_and_their_secrets_are_rotated",
    ASK_VARIANT: "test_plain_processes_answer_and_their_secrets_are_rotated",
    CHECK_ROLLOUT: "test_plain_processes_answer_and_their_secrets_are_rotated",
    BOTH_KEYS: "test_plain_processes_answer_and_their_secrets_are_rotated",
    WAIT_FOR_BOTH: "test_plain_processes_answer_and_their_secrets_are_rotated",
    NEW_KEY: "test_plain_processes_answer_and_their_secrets_are_rotated",
    BOTH_SIGN: "test_plain_processes_answer_and_their_secrets_are_rotated",
    NEW_SIGNS: "test_plain_processes_answer_and_their_secrets_are_rotated",
    TEMPLATE: "test_what_needs_no_cluster_is_taken_by_helm_and_promtool",
    BACK_UP: "test_redis_is_backed_up_and_restored_and_the_deleted_stay_deleted",
    RESTORE: "test_redis_is_backed_up_and_restored_and_the_deleted_stay_deleted",
    FORGET: "test_redis_is_backed_up_and_restored_and_the_deleted_stay_deleted",
    WRITE_LOG: "test_redis_is_backed_up_and_restored_and_the_deleted_stay_deleted",
    REBUILD: "test_plain_processes_answer_and_their_secrets_are_rotated",
}
"""Blocks that are run as they stand, and by which test."""

NOT_RUN = {
    r"kubectl ": "needs a cluster",
    r"helm install |helm -n news (upgrade|rollback|test) ": "needs a cluster; what the chart makes"
    " of the same values is looked at below",
    r"interests experiments (pause|history)": "test_overlay.py runs them beside a gateway",
    r"make install engine": "installs for minutes; it is how CI gets its own environments",
    r"\.venv-engine/bin/interests (students build|engine)": "needs vLLM; test_students_build.py and"
    " test_vllm_engine.py build students and serve them",
    r"(OPENBLAS_NUM_THREADS=1 taskset -c 0 )?(\.venv-engine/bin/)?python -m loadtests\.": "measures"
    " for minutes",
}
"""Commands of the other blocks, each as a pattern, and why they are not run."""


def blocks(language: str) -> dict[Block, str]:
    """Every block of that language in the guide."""
    found: dict[Block, str] = {}
    for page in GUIDE:
        text = (OPERATING / page).read_text(encoding="utf-8")
        text = IN_A_LIST.sub(lambda block: dedent(block[0]), text)
        for part in re.split(r"(?m)^#+ (?=\S)", text)[1:]:
            heading, _, body = part.partition("\n")
            of_language = [block for said, block in FENCED.findall(body) if said == language]
            found |= {Block(page, heading, n): block for n, block in enumerate(of_language)}
    return found


def commands(block: str) -> list[str]:
    """Its command lines, those that go on put together."""
    joined = block.replace("\\\n", " ").replace("|\n", "| ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def values(block: Block) -> dict[str, Any]:
    """What a block of YAML holds."""
    held: dict[str, Any] = yaml.safe_load(blocks("yaml")[block])
    return held


INSTALLED = Block("install.md", "For real on Kubernetes")
SETTINGS = Block("install.md", "Plain processes")
TWO_STUDENTS = Block("changes.md", "Another student, and back")
ROLLOUT = Block("changes.md", "Another student, and back", 1)


def test_every_command_of_the_guide_is_run_or_has_a_reason() -> None:
    shown = blocks("sh")
    assert set(RUN) <= set(shown), "the guide has other blocks now"
    assert all(callable(globals().get(test)) for test in RUN.values())
    left = [line for block, text in shown.items() if block not in RUN for line in commands(text)]
    for line in left:
        assert any(re.match(pattern, line) for pattern in NOT_RUN), f"nothing runs: {line}"
    for pattern in NOT_RUN:
        assert any(re.match(pattern, line) for line in left), f"is nowhere: {pattern}"


class Shell:
    """A shell in a folder, with the commands of the guide on its path."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        tools = folder / "bin"
        tools.mkdir()
        ours = {n: v for n, v in os.environ.items() if not n.startswith(("INTERESTS_", "HELM"))}
        self._tools = tools
        self.env = {
            **ours,
            "PATH": f"{tools}:{ROOT / '.venv' / 'bin'}:{ours['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "160",
            **environment,
        }

    def has(self, name: str, path: Path | str) -> None:
        """Put a program on the path."""
        (self._tools / name).symlink_to(path)

    def needs(self, *names: str) -> None:
        """Skip the test, loudly, where a program is missing."""
        for name in names:
            if not shutil.which(name, path=self.env["PATH"]):
                missing_part(name, f"install {name}")

    def unset(self, name: str) -> None:
        """Leave a variable out of the environment."""
        del self.env[name]

    def run(self, block: Block, **environment: str) -> str:
        """Run a block of the guide as it stands; what it printed."""
        done = subprocess.run(
            ["sh", "-ec", blocks("sh")[block]],
            cwd=self.folder,
            env={**self.env, **environment},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, block: Block, log: Path) -> Iterator[None]:
        """Run a block whose last command does not end by itself, for as long as it is needed."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-ec", re.sub(r"(?m)^(.+)\n\Z", r"exec \1\n", blocks("sh")[block])],
                cwd=self.folder,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def redis_tools(shell: Shell) -> None:
    """Redis' own programs, wherever the server lies."""
    folder = Path(redis_binary()).parent
    for name in ("redis-server", "redis-cli"):
        if not (folder / name).is_file():
            missing_part(name, "install Redis' own tools")
        shell.has(name, folder / name)


def next_student(built: Path, folder: Path) -> Path:
    """The other student of the guide: the built one by another name. Nothing serves its weights."""
    folder.mkdir()
    for file in built.iterdir():
        if file.suffix != ".safetensors" and file.name != MANIFEST:
            shutil.copy(file, folder)
    manifest = yaml.safe_load((built / MANIFEST).read_text())
    manifest |= {"name": "news-qwen", "version": "2"}
    (folder / MANIFEST).write_text(yaml.safe_dump(manifest))
    return folder / MANIFEST


def wait_until_ready(url: str, log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.1)


def ask(url: str, key: str) -> httpx.Response:
    headers = {"x-api-key": key}
    return httpx.post(f"{url}/v1/interests", json={"user_id": "maya"}, headers=headers, timeout=30)


def test_plain_processes_answer_and_their_secrets_are_rotated(
    tmp_path: Path, demo: tuple[Path, Path], built_student: Path, redis_server: RedisServer
) -> None:
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path / "gateway.log"
    built = tmp_path / ".local" / "students" / "interests-small"
    built.mkdir(parents=True)
    (built / "9").symlink_to(built_student)
    other = next_student(built_student, tmp_path / "next")
    for file, name in zip(demo, ("articles.jsonl", "signals.jsonl"), strict=True):
        shutil.copy(file, tmp_path / name)
    (tmp_path / "gateway.yaml").write_text(blocks("yaml")[SETTINGS])
    key = load_manifest(built_student / MANIFEST).key
    with simulator("--model", key) as engine, simulator("--model", "news-qwen@2") as second:
        here = {
            "PORT": str(port),
            "REDIS_URL": redis_server.url,
            "DRAIN_DELAY_S": "0",
            "STUDENTS__MAIN__ENGINES": engine.url,
            "STUDENTS__NEXT__MANIFEST": str(other),
            "STUDENTS__NEXT__ENGINES": second.url,
            "DEFAULT_STUDENT": "main",
        }
        named = {f"INTERESTS_{name}": value for name, value in here.items()}
        shell = Shell(tmp_path, **named, GATEWAY=url)
        shell.needs("openssl", "curl")
        shell.run(MAKE_SECRETS)
        secrets = {name: tmp_path / "secrets" / name for name in ("backend", "signing")}
        old = {name: path.read_text().strip() for name, path in secrets.items()}
        with shell.running(SERVE, log):
            wait_until_ready(url, log)
            assert "is ready" in shell.run(LOOK)
            assert "news-qwen@2" in shell.run(
                ASK_VARIANT, INTERESTS_CONFIG=str(tmp_path / "gateway.yaml")
            )
            (tmp_path / "experiments.yaml").write_text(blocks("yaml")[ROLLOUT])
            checked = shell.run(CHECK_ROLLOUT, INTERESTS_CONFIG=str(tmp_path / "gateway.yaml"))
            assert "no fault; experiments: 1, of which run now: 1" in checked
            rotate(shell, url, old, secrets)
            rebuilt = shell.run(REBUILD, INTERESTS_CONFIG=str(tmp_path / "gateway.yaml"))
            assert "live as" in rebuilt
            assert "is ready" in rebuilt


def rotate(shell: Shell, url: str, old: Mapping[str, str], secrets: Mapping[str, Path]) -> None:
    """Rotate the caller's key and the signing secret of a running gateway by the guide's words."""
    assert ask(url, old["backend"]).status_code == 200
    shell.run(BOTH_KEYS)
    shell.run(WAIT_FOR_BOTH)
    new = (shell.folder / "secrets" / "backend.new").read_text().strip()
    assert [ask(url, key).status_code for key in (old["backend"], new)] == [200, 200]
    shell.run(NEW_KEY)
    until = time.monotonic() + 20
    while ask(url, old["backend"]).status_code != 401:
        assert time.monotonic() < until, "the old key is valid still"
        time.sleep(0.1)
    before = ask(url, new)
    shell.run(BOTH_SIGN)
    signing = secrets["signing"].read_text().split()
    assert signing[1:] == [old["signing"]]
    fresh, both = Identity(signing[0].encode()), Identity(*map(str.encode, signing))
    until = time.monotonic() + 20
    while not fresh.verified(ask(url, new).json()["request_id"], "maya"):
        assert time.monotonic() < until, "the new secret does not sign"
        time.sleep(0.1)
    assert both.verified(before.json()["request_id"], "maya")
    shell.run(NEW_SIGNS)
    assert secrets["signing"].read_text().split() == signing[:1]


def test_redis_is_backed_up_and_restored_and_the_deleted_stay_deleted(
    tmp_path: Path, demo: tuple[Path, Path]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    server = RedisServer(password="of-this-redis", durable=True).start()
    restored = RedisServer(durable=True, folder=data)
    shell = Shell(
        tmp_path,
        REDIS=f"redis://127.0.0.1:{server.port}/0",
        REDISCLI_AUTH="of-this-redis",
        INTERESTS_REDIS_URL=server.url,
        REDIS_DATA=str(data),
        REDIS_PORT=str(restored.port),
    )
    redis_tools(shell)

    def interests(*words: str, url: str = server.url) -> str:
        env = {**shell.env, "INTERESTS_REDIS_URL": url}
        command = ["interests", *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shown(user: str, url: str) -> list[Any]:
        signals: list[Any] = json.loads(interests("signals", "show", user, "--json", url=url))[
            "signals"
        ]
        return signals

    odd = "jonas {}%/ö"
    row = {"user_id": odd, "at": "2025-05-01T10:00:00Z", "domain": "search", "text": "railways"}
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps(row) + "\n")
    try:
        interests("signals", "load", str(demo[1]), str(more))
        maya = shown("maya", server.url)
        shell.run(BACK_UP)
        snapshot = (tmp_path / "backup.rdb").read_bytes()
        interests("users", "delete", odd)
        shell.run(BACK_UP)  # as often as one can: now the list has a user whom the snapshot has not
        (tmp_path / "backup.rdb").write_bytes(snapshot)
        server.kill()
        shell.run(RESTORE)
        shell.unset("REDISCLI_AUTH")  # as the block before did, in a shell of its own
        assert shown(odd, restored.url), "the snapshot is from before the deletion"
        shell.run(FORGET)
        shell.run(WRITE_LOG)
        restored.start()
        assert shown("maya", restored.url) == maya
        assert maya
        assert shown(odd, restored.url) == []
        with restored.client() as client:
            ttl = client.ttl("sig:{maya}")
            assert isinstance(ttl, int)
            assert ttl > 0
    finally:
        server.close()
        with restored.client() as client, suppress(redis.ConnectionError):
            client.shutdown(nosave=True)
        restored.close()


def test_what_needs_no_cluster_is_taken_by_helm_and_promtool(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.has("helm", newest_helm())
    shell.has("promtool", program("promtool"))
    for name in ("helm", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "values.yaml").write_text(blocks("yaml")[INSTALLED])
    shell.run(TEMPLATE)
    shell.run(CHECK_RULES)


def test_the_trials_values_are_taken() -> None:
    command = commands(blocks("sh")[TRIAL])[0]
    given = dict(found.split("=", 1) for found in re.findall(r"--set (\S+)", command))
    assert given == {
        "trial.enabled": "true",
        "gateway.replicas": "1",
        "students.main.model.build": "interests-small@9",
    }
    student = {"main": {"model": {"build": "interests-small@9"}}}
    objects = render({"trial": {"enabled": True}, "gateway": {"replicas": 1}, "students": student})
    assert objects.one("Deployment", "interests-gateway")


def test_the_values_of_an_installation_are_the_callers_and_engines_it_says() -> None:
    settings = render(values(INSTALLED)).settings()
    assert settings["keys"]["operator"]["rights"] == values(SETTINGS)["keys"]["operator"]["rights"]
    assert settings["keys"]["backend"]["rights"] == ["interests", "signals"]
    assert settings["secret_file"]
    assert len(render(values(INSTALLED)).students()["students"]["main"]["engines"]) == 2
    more = values(INSTALLED)
    more["students"]["main"]["replicas"] = 3
    assert len(render(more).students()["students"]["main"]["engines"]) == 3


def test_one_edit_changes_the_student_and_the_same_edit_changes_it_back() -> None:
    both = {**values(INSTALLED), **values(TWO_STUDENTS)}
    first = render(both)
    then = render({**both, "defaultStudent": "next"})
    assert {**first.students(), "default": "next"} == then.students()
    assert first.of("Deployment") == then.of("Deployment"), "no gateway is restarted"
    engines = first.of("StatefulSet")
    assert {one["metadata"]["name"] for one in engines} == {
        "interests-engine-main",
        "interests-engine-next",
    }
    assert engines == then.of("StatefulSet"), "engines are not touched by the edit"


def test_scaled_away_engines_are_told_by_their_number() -> None:
    """The matcher on the page of InterestsEngineDown, on the addresses that the chart makes."""
    page = (OPERATING / "alerts" / "InterestsEngineDown.md").read_text(encoding="utf-8")
    (block,) = [text for language, text in FENCED.findall(page) if language == "yaml"]
    (route,) = yaml.safe_load(block)["route"]["routes"]
    alert, engine = route["matchers"]
    assert alert == 'alertname="InterestsEngineDown"'
    pattern = re.compile(engine.removeprefix('engine=~"').removesuffix('"'))
    scaled = {"kind": "keda", "minReplicas": 2, "maxReplicas": 25}
    given = values(INSTALLED) | {"prometheus": {"url": "http://prometheus:9090"}}
    given["metrics"] = {"serviceMonitor": {"enabled": True}, "key": "operator"}
    given["students"]["main"]["autoscaling"] = scaled
    urls = render(given).students()["students"]["main"]["engines"]
    assert [bool(pattern.fullmatch(url)) for url in urls] == [False] * 2 + [True] * 23


@pytest.mark.parametrize(
    ("options", "line"), [((), "its own limits"), (PACKED, "bytes = users")], ids=["own", "packed"]
)
def test_the_arithmetic_of_redis_says_what_redis_takes(options: Sequence[str], line: str) -> None:
    """Users × (a user + signals × (a signal + bytes of a text) + a list × students)."""
    said = re.search(
        rf"{line}.*?(\d[\d,]*) \+ signals × \((\d+) \+ bytes of a text\) \+ (\d+) ×", pages_text()
    )
    assert said
    user, signal, kept = (int(number.replace(",", "")) for number in said.groups())
    with sizes.own_redis(options) as (client, url):
        row = sizes.measured(client, url, users=200, count=50)
    signals, text, _, _, both, used, *_ = (float(cell.replace(",", "")) for cell in row)
    assert used == pytest.approx(user + signals * (signal + text) + kept, rel=0.1)
    assert used == pytest.approx(both, rel=0.1)


def test_a_packed_user_of_fifty_signals_takes_six_kilobytes_at_the_most() -> None:
    with sizes.own_redis(PACKED) as (client, url):
        _, _, _, _, both, used, *_ = sizes.measured(client, url, users=500, count=50)
    assert max(float(cell.replace(",", "")) for cell in (both, used)) <= 6_000


def pages_text() -> str:
    """The page on sizing."""
    return (OPERATING / "sizing.md").read_text(encoding="utf-8")
