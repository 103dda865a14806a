from __future__ import annotations

import gc
import getpass
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeseg_runtime.errors import ConfigError, MissingExtraError
from edgeseg_runtime.events import Event, Events
from edgeseg_runtime.telemetry.backoff import Backoff
from edgeseg_runtime.telemetry.delivery import Delivery, DeliveryError
from edgeseg_runtime.telemetry.disk_spool import DiskSpool
from edgeseg_runtime.telemetry.mqtt import MqttSender
from edgeseg_runtime.telemetry.process import process_figures
from edgeseg_runtime.telemetry.spool import MemorySpool

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


class Broker:
    """Mosquitto on a port of its own; starts again on the same one."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [program, "-c", str(folder / "broker.conf")]
        passwords, make = folder / "passwords", shutil.which("mosquitto_passwd") or ""
        subprocess.run([make, "-b", "-c", str(passwords), "joe", "hunter2"], check=True)
        passwords.chmod(0o644)
        folder.joinpath("broker.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"user {getpass.getuser()}\npassword_file {passwords}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


class Reader:
    """Subscribes to everything, and keeps what comes."""

    def __init__(self, broker: Broker) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _data, message: self.got.append(
            (message.topic, message.payload, message.retain)
        )
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._ready.wait(30)

    def numbers(self) -> list[int]:
        """The events' numbers in the order of their first arrival: one may come twice."""
        events = [json.loads(payload) for topic, payload, _ in self.got if "/stream/" in topic or "/camera/" in topic]
        return list(dict.fromkeys(event["number"] for event in events if "number" in event))

    def payloads(self, wanted: str) -> list[bytes]:
        return [payload for topic, payload, _ in self.got if topic == wanted]

    def statuses(self) -> list[bytes]:
        return self.payloads("edgeseg/status")

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("the MQTT broker mosquitto is not installed")
    broker = Broker(program, tmp_path)
    broker.start()
    yield broker
    broker.kill()


def tick(number: int, camera: str = "") -> Event:
    return Event("tick", camera, {"number": number})


def test_events_go_to_topics_of_their_own(broker: Broker) -> None:
    reader, events = Reader(broker), Events()
    delivery = Delivery("mqtt", MqttSender(broker.url, prefix="home/cams/"), MemorySpool(), tend_every=0.02)
    events.subscribe(delivery)
    events.publish("zone.enter", "front/door +#", zone="gate")
    events.publish("model.swapped", name="b")
    wait_until(lambda: len(reader.got) >= 3)
    delivery.close(10)
    wait_until(lambda: len(reader.got) >= 4)
    reader.close()
    assert [topic for topic, _, _ in reader.got] == [
        "home/cams/status",
        "home/cams/camera/front_door __/zone.enter",
        "home/cams/stream/model.swapped",
        "home/cams/status",
    ]
    assert json.loads(reader.got[1][1])["zone"] == "gate" and json.loads(reader.got[1][1])["source"] == "front/door +#"
    assert delivery.status().written == 2


def test_the_status_is_kept_for_whoever_comes_later(broker: Broker) -> None:
    delivery = Delivery("mqtt", MqttSender(broker.url), MemorySpool(), tend_every=0.02)
    delivery(tick(0))
    wait_until(lambda: delivery.status().written == 1)
    reader = Reader(broker)
    wait_until(lambda: bool(reader.got))
    assert reader.got == [("edgeseg/status", b"online", True)]
    delivery.close(10)
    wait_until(lambda: reader.statuses() == [b"online", b"offline"])
    reader.close()


def test_the_broker_tells_when_the_stream_dies(broker: Broker) -> None:
    reader, sender = Reader(broker), MqttSender(broker.url)
    sender.tend()
    wait_until(lambda: reader.statuses() == [b"online"])
    client: Any = sender._client
    client.socket().shutdown(socket.SHUT_RDWR)  # no good-bye, as when the process is killed
    wait_until(lambda: reader.statuses() == [b"online", b"offline"])
    sender.close()
    reader.close()


def test_nothing_is_lost_when_the_broker_is_killed_and_comes_back(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    gate.set()
    sender = MqttSender(broker.url, timeout=2.0)
    connect = sender._connect

    def only_when_open() -> None:  # so that the reader is there again before the first event is
        if not gate.is_set():
            raise DeliveryError("not yet")
        connect()

    monkeypatch.setattr(sender, "_connect", only_when_open)
    reader = Reader(broker)
    delivery = Delivery("mqtt", sender, DiskSpool(tmp_path / "spool"), tend_every=0.02, backoff=Backoff(0.02, 0.1))
    direct = paho.Client(paho.CallbackAPIVersion.VERSION2)  # the naive way: what cannot be sent now is gone
    direct.connect("127.0.0.1", broker.port)
    direct.loop_start()
    for number in range(50):
        delivery(tick(number))
        direct.publish("naive", str(number))
    wait_until(lambda: delivery.status().written == 50)
    wait_until(lambda: reader.numbers() == list(range(50)))
    wait_until(lambda: len(reader.payloads("naive")) == 50)
    gate.clear()
    broker.kill()
    reader.close()
    wait_until(lambda: not direct.is_connected())
    for number in range(50, 250):
        delivery(tick(number))
        direct.publish("naive", str(number))
    wait_until(lambda: delivery.waiting == 200)
    assert delivery.status().error is not None
    broker.start()
    back = Reader(broker)
    gate.set()
    wait_until(lambda: delivery.status().written >= 250)
    wait_until(lambda: back.numbers() == list(range(50, 250)))
    delivery.close(10)
    assert delivery.status().dropped == {} and delivery.waiting == 0
    wait_until(direct.is_connected)
    direct.publish("naive", "250")
    wait_until(lambda: back.payloads("naive")[-1:] == [b"250"])
    assert len(back.payloads("naive")) < 200  # it is back too, but what came meanwhile is gone
    direct.disconnect()
    direct.loop_stop()
    back.close()


def test_events_in_flight_when_the_broker_dies_are_sent_again(broker: Broker) -> None:
    sender = MqttSender(broker.url, timeout=1.0)
    sender.tend()
    broker.kill()
    records = [json.dumps(tick(number).as_dict()).encode() for number in range(5)]
    with pytest.raises(DeliveryError):
        for _ in range(100):
            sender.tend()
            sender.send(records)
    broker.start()
    reader = Reader(broker)
    sender.tend()
    assert sender.send(records) == 5
    wait_until(lambda: reader.numbers() == list(range(5)))
    sender.close()
    reader.close()


def test_a_broker_that_stays_away_costs_bounded_room(broker: Broker) -> None:
    broker.kill()
    delivery = Delivery(
        "mqtt", MqttSender(broker.url), MemorySpool(max_records=20), tend_every=0.02, backoff=Backoff(0.02, 0.1)
    )
    for number in range(500):
        delivery(tick(number))
    wait_until(lambda: delivery.status().dropped == {"spool": 480})
    wait_until(lambda: delivery.status().error is not None)
    assert delivery.status().error == f"mqtt://127.0.0.1:{broker.port} cannot be reached: Connection refused"
    broker.start()
    wait_until(lambda: delivery.status().written == 20)
    delivery.close(10)


def test_a_wrong_password_is_named_and_not_shown(broker: Broker) -> None:
    sender = MqttSender(broker.url.replace("//", "//joe:wr%40ng@"))
    with pytest.raises(DeliveryError, match=r"refuses: Not authorized") as caught:
        sender.tend()
    assert "wr@ng" not in str(caught.value) + sender.title and "wr%40ng" not in str(caught.value) + sender.title
    sender.close()
    right = MqttSender(broker.url.replace("//", "//joe:hunter2@"))
    right.tend()
    assert right.send([json.dumps(tick(1).as_dict()).encode()]) == 1
    right.close()


# paho leaves the socket of a failed handshake to Python, which closes it at once, and complains
@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_with_tls_is_checked(broker: Broker, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    order = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *order.split(), *files], check=True, capture_output=True)
    broker.kill()
    with (tmp_path / "broker.conf").open("a") as settings:
        settings.write(f"cafile {certificate}\ncertfile {certificate}\nkeyfile {key}\n")
    broker.start()
    url = broker.url.replace("mqtt:", "mqtts:")
    stranger = MqttSender(url)
    with pytest.raises(DeliveryError, match=r"cannot be reached: .*certificate verify failed"):
        stranger.tend()
    sender = MqttSender(url, authorities=str(certificate))
    sender.tend()
    assert sender.send([json.dumps(tick(1).as_dict()).encode()]) == 1
    sender.close()
    absent = MqttSender(url, authorities=str(tmp_path / "absent.pem"))
    with pytest.raises(DeliveryError, match="No such file"):
        absent.tend()


def test_a_server_that_speaks_something_else_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = MqttSender(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
        with pytest.raises(DeliveryError, match="does not speak MQTT"):
            sender.tend()
        with pytest.raises(DeliveryError, match="there is no connection"):
            sender.send([b"{}"])
        sender.close()


def test_no_thread_and_no_socket_stays_behind(broker: Broker) -> None:
    sender: Any = MqttSender(broker.url)
    before, open_before = set(threading.enumerate()), process_figures()["open_fds"]
    gc.disable()  # what only the collector would close counts as left open
    try:
        for _ in range(5):
            sender.tend()
            sender.close()
            sender.close()
        assert set(threading.enumerate()) <= before
        assert process_figures()["open_fds"] == open_before
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "url", ["http://joe:hunter2@host", "mqtt://", "mqtt://joe:hunter2@host:0", "mqtt://host/x?password=hunter2", "host"]
)
def test_an_address_that_is_none_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="an MQTT broker needs an address like mqtt://host:1883") as caught:
        MqttSender(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a/#", "+", "$SYS", "/a", "a\x00b"])
def test_a_prefix_that_is_no_topic_is_named(prefix: str) -> None:
    with pytest.raises(ConfigError, match="topic prefix"):
        MqttSender("mqtt://host", prefix=prefix)


def test_without_the_package_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("edgeseg_runtime.extras.importlib.import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgeseg\[mqtt\]'"):
        MqttSender("mqtt://host")
