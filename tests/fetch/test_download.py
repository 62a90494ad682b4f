import json
import logging
import os
import shutil
import socket
import sys
import urllib.request
from urllib.error import URLError
from urllib.parse import parse_qs

import pytest

from segdistill.errors import ConfigError, DataError, EnvironmentFault
from segdistill.fetch import DEEPCELL, Door, Item, check, doors, download
from segdistill.fetch.download import Patience
from segdistill.fetch.ledger import NAME, check_recorded, recorded
from segdistill.fetch.web import open_url

CONTENT = bytes(range(256)) * 40  # 10,240 bytes
QUICK = Patience(attempts=3, pause=0.0)
HUB = Door(
    site="a hub",
    variable="HUB_TOKEN",
    how="Make one",
    ask=lambda address, token: urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"}),  # noqa: S310
)
"""A site that wants its token in a header of the download itself."""


@pytest.fixture
def item(site, sha256):
    """A file whose checksum was published."""
    site.files["a.bin"] = CONTENT
    return Item(name="a.bin", address=f"{site.address}/a.bin", checksum=sha256(CONTENT), megabytes=1)


@pytest.fixture
def unpinned(site):
    """A file whose checksum nobody published."""
    site.files["a.bin"] = CONTENT
    return Item(name="a.bin", address=f"{site.address}/a.bin")


def fetch(item, folder):
    said = []
    fetched = download(item, folder, notice=said.append, patience=QUICK)
    return fetched, said


def test_a_file_comes_whole_is_recorded_and_leaves_nothing_else(item, tmp_path, sha256):
    fetched, said = fetch(item, tmp_path)
    assert (fetched.path.read_bytes(), fetched.fresh) == (CONTENT, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", NAME]
    assert recorded(tmp_path) == {"a.bin": sha256(CONTENT)}
    assert said == [f"Getting a.bin (about 1 MB) from {item.address}"]


def test_what_is_there_is_not_asked_for_again(item, site, tmp_path, monkeypatch):
    fetch(item, tmp_path)
    site.seen.clear()
    monkeypatch.setenv("SEGDISTILL_OFFLINE", "1")
    fetched, said = fetch(item, tmp_path)
    assert (fetched.fresh, said, site.seen) == (False, [], [])


@pytest.mark.parametrize("variable", ["SEGDISTILL_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked_and_everything_is_told(variable, item, site, tmp_path, monkeypatch):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(EnvironmentFault) as refusal:
        fetch(item, tmp_path / "weights")
    for part in (variable, item.address, item.checksum, str(tmp_path / "weights" / "a.bin")):
        assert part in str(refusal.value)
    assert site.seen == []


@pytest.mark.parametrize("stop", [1, 5_000, len(CONTENT) - 1])
def test_an_interrupted_download_goes_on_where_it_stopped(stop, item, site, tmp_path):
    site.stops = [stop]
    assert fetch(item, tmp_path)[0].path.read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in site.seen] == [None, f"bytes={stop}-"]


def test_a_second_run_goes_on_where_the_first_was_given_up(item, site, tmp_path):
    site.stops = [4_000, 0, 0, 0]
    with pytest.raises(EnvironmentFault, match=r"4,000 bytes of it are here, and the same command goes on"):
        fetch(item, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin.partial"]
    site.seen.clear()
    fetch(item, tmp_path)
    assert [headers.get("Range") for _, headers in site.seen] == ["bytes=4000-"]


def test_a_site_that_ignores_ranges_is_taken_from_the_start(item, site, tmp_path):
    site.stops, site.ranges = [3_000], False
    assert fetch(item, tmp_path)[0].path.read_bytes() == CONTENT


def test_a_part_that_was_whole_is_only_checked(item, site, tmp_path):
    (tmp_path / "a.bin.partial").write_bytes(CONTENT)
    assert fetch(item, tmp_path)[0].path.read_bytes() == CONTENT
    assert len(site.seen) == 1


def test_wrong_bytes_never_get_the_name(item, site, tmp_path, sha256):
    site.files["a.bin"] = CONTENT[::-1]
    with pytest.raises(DataError) as refusal:
        fetch(item, tmp_path)
    assert sha256(CONTENT[::-1]) in str(refusal.value)
    assert item.checksum in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_another_file_is_begun_again(item, tmp_path, site):
    (tmp_path / "a.bin.partial").write_bytes(b"\0" * 2_000)
    fetched, said = fetch(item, tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert any("Beginning again" in line for line in said)


def test_a_part_longer_than_the_file_is_begun_again(item, tmp_path):
    (tmp_path / "a.bin.partial").write_bytes(b"\0" * 20_000)
    assert fetch(item, tmp_path)[0].path.read_bytes() == CONTENT


def test_without_a_published_checksum_the_first_download_is_trusted_and_later_ones_compared(unpinned, tmp_path, sha256):
    fetched, _ = fetch(unpinned, tmp_path)
    assert "nobody published one" in fetched.words
    assert check(unpinned, tmp_path).state == "recorded"
    (tmp_path / "a.bin").write_bytes(CONTENT + b"!")
    assert check(unpinned, tmp_path).state == "wrong"
    with pytest.raises(DataError, match=r"not overwritten"):
        fetch(unpinned, tmp_path)
    assert [finding.state for finding in check_recorded(tmp_path)] == ["wrong"]


def test_a_file_that_somebody_put_there_is_recorded_and_said_to_be_new(unpinned, tmp_path, site):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert check(unpinned, tmp_path).state == "new"
    fetched, _ = fetch(unpinned, tmp_path)
    assert (fetched.fresh, site.seen) == (False, [])
    assert check(unpinned, tmp_path).state == "recorded"


def test_without_checksum_or_tag_a_part_is_not_trusted(unpinned, site, tmp_path):
    site.stops = [3_000]
    assert fetch(unpinned, tmp_path)[0].path.read_bytes() == CONTENT
    assert [headers.get("Range") for _, headers in site.seen] == [None, None]


def test_without_checksum_a_part_is_gone_on_with_while_the_site_says_it_is_the_same(unpinned, site, tmp_path):
    site.stops, site.tags = [3_000, 0, 0, 0], {"a.bin": '"one"'}
    with pytest.raises(EnvironmentFault):
        fetch(unpinned, tmp_path)
    site.files["a.bin"], site.tags, site.stops = CONTENT[::-1], {"a.bin": '"two"'}, []
    assert fetch(unpinned, tmp_path)[0].path.read_bytes() == CONTENT[::-1]  # and not a mixture of both
    assert site.seen[-1][1]["If-Range"] == '"one"'


def test_another_file_of_that_name_is_left_alone(item, tmp_path, site):
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(DataError, match="not overwritten"):
        fetch(item, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert site.seen == []


def test_a_busy_site_is_asked_again(item, site, tmp_path):
    site.statuses = [503, 429]
    assert fetch(item, tmp_path)[0].fresh


@pytest.mark.parametrize(("status", "words"), [(404, "no such file"), (403, "not let you in"), (401, "wants a token")])
def test_a_refusal_is_told_at_once(status, words, item, site, tmp_path):
    site.statuses = [status] * 9
    with pytest.raises(EnvironmentFault, match=words):
        fetch(item, tmp_path)
    assert len(site.seen) == 1


def test_a_site_that_is_not_there_is_told_with_everything_one_needs(tmp_path, sha256):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    item = Item(name="a.bin", address=f"http://127.0.0.1:{port}/a.bin", checksum=sha256(CONTENT))
    with pytest.raises(EnvironmentFault) as refusal:
        fetch(item, tmp_path)
    assert all(part in str(refusal.value) for part in (item.address, item.checksum, str(tmp_path / "a.bin")))


def test_a_web_page_instead_of_the_file_is_refused(unpinned, site, tmp_path):
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(EnvironmentFault, match="web page"):
        fetch(unpinned, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_fit_is_refused_before_it_comes(item, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EnvironmentFault, match=r"10,240 bytes are to come, but 1,000 are free"):
        fetch(item, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_is_told_and_what_came_stays(item, tmp_path):
    import resource
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, old[1]))
    try:
        with pytest.raises(EnvironmentFault, match=r"a\.bin\.partial cannot be written"):
            fetch(item, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert fetch(item, tmp_path)[0].path.read_bytes() == CONTENT


def test_long_downloads_tell_every_tenth(site, tmp_path, sha256):
    content = os.urandom(11 * 2**20)
    site.files["long.bin"] = content
    _, said = fetch(Item(name="long.bin", address=f"{site.address}/long.bin", checksum=sha256(content)), tmp_path)
    assert said[1:] == sorted(said[1:], key=lambda line: int(line.split()[-2]))
    assert said[-1] == "  long.bin: 100 %"


# Doors and tokens


@pytest.fixture
def secret(monkeypatch):
    value = "s3cr3t-t0ken"
    monkeypatch.setenv("DEEPCELL_ACCESS_TOKEN", value)
    monkeypatch.setenv("HUB_TOKEN", value)
    return value


def test_a_missing_token_is_told_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPCELL_ACCESS_TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"DEEPCELL_ACCESS_TOKEN is not set\. Register at https://users.deepcell.org"):
        fetch(Item(name="a", address="data/a", door=DEEPCELL), tmp_path)


@pytest.mark.parametrize("value", [" s3cr3t", "<s3cr3t>", '"s3cr3t"', "s3\ncr3t"])
def test_what_is_no_token_is_refused_without_showing_it(value, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", value)
    with pytest.raises(ConfigError) as refusal:
        HUB.request("https://example.org/a")
    assert "cr3t" not in str(refusal.value)


def test_deepcell_exchanges_the_key_for_an_address(site, tmp_path, secret, monkeypatch, sha256):
    def answer(headers, body):
        right = headers["X-Api-Key"] == secret and parse_qs(body.decode()) == {"s3_key": ["data/a.zip"]}
        return (
            (200, json.dumps({"url": f"{site.address}/a.bin?signature=hidden", "size": "4.1 GB"}).encode())
            if right
            else (403, b"")
        )

    site.files["a.bin?signature=hidden"], site.posted = CONTENT, answer
    _at(site, monkeypatch)
    item = Item(name="a.zip", address="data/a.zip", checksum=sha256(CONTENT), door=DEEPCELL)
    fetched, said = fetch(item, tmp_path)
    assert fetched.path.read_bytes() == CONTENT
    assert not any("signature" in line or secret in line for line in [*said, fetched.words])
    assert "X-api-key" not in {name.capitalize() for name in site.seen[-1][1]}  # the token stays with the door


@pytest.mark.parametrize(("status", "words"), [(403, "not valid"), (404, "no file 'data/a.zip'"), (500, "status 500")])
def test_what_deepcell_refuses_is_told(status, words, site, tmp_path, secret, monkeypatch):
    site.posted = lambda *_: (status, b"{}")
    _at(site, monkeypatch)
    with pytest.raises(EnvironmentFault, match=words) as refusal:
        fetch(Item(name="a.zip", address="data/a.zip", door=DEEPCELL), tmp_path)
    assert secret not in str(refusal.value)


def test_an_answer_that_names_no_address_is_told(site, tmp_path, secret, monkeypatch):
    site.posted = lambda *_: (200, b"[]")
    _at(site, monkeypatch)
    with pytest.raises(EnvironmentFault, match="something else than the address"):
        fetch(Item(name="a.zip", address="data/a.zip", door=DEEPCELL), tmp_path)


def _at(site, monkeypatch):
    """Let the door of the laboratory be at this site."""
    ask = doors._ask_deepcell
    door_ask = lambda address, token: ask(address, token, site=f"{site.address}/api")  # noqa: E731
    monkeypatch.setattr(type(DEEPCELL), "request", lambda self, address: door_ask(address, self._token()))


def test_a_token_is_not_carried_to_another_site(site, secret):
    # 127.0.0.1 and localhost are two names, so two sites.
    site.files["there"] = CONTENT
    site.moved = {"here": site.address.replace("127.0.0.1", "localhost") + "/there", "same": f"{site.address}/there"}
    for start in ("here", "same"):
        with open_url(HUB.request(f"{site.address}/{start}")) as answer:
            assert answer.read() == CONTENT
    sent = [(path, "Authorization" in headers) for path, headers in site.seen]
    assert sent == [("/here", True), ("/there", False), ("/same", True), ("/there", True)]


@pytest.mark.parametrize("address", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd"])
def test_what_is_not_https_is_refused(address, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("it was asked"))
    with pytest.raises(EnvironmentFault, match="not https"):
        open_url(urllib.request.Request(address))  # noqa: S310


def test_a_redirection_to_what_is_not_https_is_refused(site):
    site.moved = {"here": "http://example.org/a"}
    with pytest.raises(EnvironmentFault, match="not https"):
        open_url(urllib.request.Request(f"{site.address}/here"))  # noqa: S310


def test_certificates_are_checked(site, monkeypatch):
    # The site on this machine speaks no TLS, so an https address of it can never be opened.
    with pytest.raises(URLError, match=r"(?i)ssl|eof|record|reset"):
        open_url(urllib.request.Request(site.address.replace("http:", "https:")), timeout=5.0)  # noqa: S310


def test_nothing_is_logged(item, tmp_path, secret, caplog):
    with caplog.at_level(logging.DEBUG):
        fetch(item, tmp_path)
    assert secret not in caplog.text


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd"])
def test_an_item_has_a_plain_name(name):
    with pytest.raises(ConfigError):
        Item(name=name, address="https://example.org")


@pytest.mark.parametrize("checksum", ["sha256:abc", "sha1:" + "0" * 40, "md5:" + "G" * 32, "0" * 64])
def test_a_checksum_says_its_kind(checksum):
    with pytest.raises(ConfigError, match="no checksum"):
        Item(name="a", address="https://example.org", checksum=checksum)


def test_a_damaged_ledger_is_refused(tmp_path, unpinned):
    (tmp_path / NAME).write_text("nonsense\n")
    (tmp_path / "a.bin").write_bytes(CONTENT)
    with pytest.raises(DataError, match="nonsense"):
        check(unpinned, tmp_path)
