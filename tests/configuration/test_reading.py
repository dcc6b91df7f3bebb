"""Settings: which source wins, and what each mistake is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.configuration import Setting, reference
from tidegate.errors import ConfigurationError
from tidegate.runtime import Options
from tidegate.server import Access, Deploy, Settings, configured
from tidegate.server.configuration import sections

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "configuration.md"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.toml"
    path.write_text(
        '[deploy]\nmodels = ["a@1.0.0", "b"]\n'
        "[server]\nport = 1\ngrace = 5\n[server.limits]\nbody_bytes = 1000\n"
    )
    return path


def test_the_later_source_wins(file: Path) -> None:
    environment = {
        "TIDEGATE_SERVER__PORT": "2",
        "TIDEGATE_SERVER__LIMITS__ROWS": "7",
        "TIDEGATE_RUNTIME__WATCH": "off",
        "TIDEGATE_REGISTRY": "not a setting of a section",
        "OTHER__PORT": "x",
    }
    flags = [Setting("server.port", "3", "--set")]
    found = configured(file, environment=environment, flags=flags)
    origins = {setting.name: (setting.value, setting.origin) for setting in found.settings()}
    assert origins["server.port"] == (3, "--set")
    assert origins["server.grace"] == (5.0, str(file))
    assert origins["server.limits.body_bytes"] == (1000.0, str(file))
    assert origins["server.limits.rows"] == (7.0, "TIDEGATE_SERVER__LIMITS__ROWS")
    assert origins["server.host"] == ("127.0.0.1", "default")
    assert found.section(Settings).limits == {"body_bytes": 1000.0, "rows": 7.0}
    assert found.section(Deploy).models == ("a@1.0.0", "b")
    assert found.section(Options).watch is False
    assert origins["runtime.max_batch_rows"][0]
    assert found.section(Options).max_batch_rows is None


def test_the_file_is_found(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert configured(environment={}).section(Settings).port == 1
    other = tmp_path / "other.toml"
    other.write_text("[server]\nport = 9\n")
    named = {"TIDEGATE_CONFIG": str(other)}
    assert configured(environment=named).section(Settings).port == 9
    assert configured(file, environment=named).section(Settings).port == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "server.prot: there is no such setting: did you mean server.port?"),
        ("[sever]\nport = 1", "did you mean server.port?"),
        ("port = 1", "port: there is no such setting"),
        ("[sever]", "sever: there is no such setting"),
        ("[server.limits]\nbody_byte = 1", "did you mean server.limits.body_bytes?"),
        ('[server]\nport = "x"', "port is 'x': give it a whole number"),
        ("[server]\nport = true", "port is True: give it a whole number"),
        ("[server]\nport = 1.5", "port is 1.5: give it a whole number"),
        ("[server]\nport = 70000", "section [server]: port is 70000: choose one from 0 to 65535"),
        ("[server]\necho = 2", "echo is 2: give it a true or false"),
        ("[server]\nhost = 3", "host is 3: give it a text"),
        ("[deploy]\nmodels = [1]", "models is [1]: give it a list of texts"),
        ("[server]\n[server]", "is no TOML"),
        ("[access]\njwks = 'x'", "section [access]: jwks needs issuer and audience"),
        ("[access]\nalgorithms = ['HS256']", "choose from RS256, ES256, EdDSA"),
        ("[access]\nleeway = 1000", "leeway is 1000"),
        ("[access]\nrefresh = 0", "refresh is 0"),
        ("[tls]\nkey = 'x'", "section [tls]: certificate and key belong together"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        configured(path, environment={})
    assert said in str(caught.value)


def test_mistakes_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="did you mean TIDEGATE_SERVER__PORT"):
        configured(environment={"TIDEGATE_SERVER__PROT": "1"})
    with pytest.raises(ConfigurationError, match="TIDEGATE_SERVER__GRACE: grace is 'soon'"):
        configured(environment={"TIDEGATE_SERVER__GRACE": "soon"})
    with pytest.raises(ConfigurationError, match=r"did you mean rates\.caller"):
        configured(environment={}, flags=[Setting("rates.caler", "1/s", "--set")])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        configured(Path("/nowhere/tidegate.toml"), environment={})


def test_lists_come_with_commas_from_the_environment() -> None:
    found = configured(environment={"TIDEGATE_ACCESS__ALGORITHMS": "ES256, EdDSA"})
    assert found.section(Access).algorithms == ("ES256", "EdDSA")


def test_every_setting_says_what_it_means() -> None:
    for section in sections():
        assert section.meaning.endswith("."), section.name
        for key in section.keys:
            assert key.meaning.endswith("."), f"{section.name}.{key.name}"


def test_the_page_of_reference_is_current() -> None:
    page = PAGE.read_text()
    _, _, rest = page.partition("<!-- reference: tidegate config --reference -->\n")
    assert rest.partition("<!-- end -->")[0].strip() == reference(sections()).strip()
