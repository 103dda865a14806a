"""Events to an MQTT broker."""

from __future__ import annotations

import json
import re
import time
from threading import Event as Flag
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from edgeseg_runtime.credentials import without_credentials
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require
from edgeseg_runtime.telemetry.delivery import DeliveryError

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

_KEEPALIVE_SECONDS = 15
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttSender:
    """Publishes each event with QoS 1, and whether the stream is there as a retained message.

    Topics: `PREFIX/status` holds `online`, or `offline` once the stream ended or the broker lost it (last will).
    Events about a camera go to `PREFIX/camera/NAME/KIND`, the others to `PREFIX/stream/KIND`. The address is
    mqtt://[USER:PASSWORD@]HOST[:PORT] or mqtts://, where the certificate is checked, by the PEM file `authorities` in
    place of the system's if one is given. Raises ConfigError, and MissingExtraError without paho-mqtt.
    """

    def __init__(
        self, url: str, *, prefix: str = "edgeseg", authorities: str | None = None, timeout: float = 5.0
    ) -> None:
        self._paho: Any = require("paho.mqtt.client", "mqtt")
        self._parts = _checked(url)
        self._port = self._parts.port or _PORTS[self._parts.scheme]
        if not prefix or re.search(r"[+#\x00-\x1f]", prefix) or prefix.startswith(("$", "/")):
            raise ConfigError(
                f"an MQTT topic prefix must not be empty, begin with $ or /, or hold + or #, got {prefix!r}"
            )
        self._prefix, self._authorities, self._timeout = prefix.rstrip("/"), authorities, timeout
        self.title = f"{self._parts.scheme}://{self._parts.hostname}:{self._port}"
        self.refused = 0
        self._client: Client | None = None
        self._lost = Flag()

    def tend(self) -> None:
        """Connect where there is no connection. Raises DeliveryError."""
        if self._client is not None and self._lost.is_set():
            self._hang_up()
        if self._client is None:
            self._connect()

    def send(self, records: list[bytes]) -> int:
        """Publish, and wait until the broker has taken them; return how many it took without a gap."""
        client = self._client
        if client is None:
            raise DeliveryError(f"{self.title}: there is no connection")
        receipts = [client.publish(self._topic(record), record, qos=1) for record in records]
        self._wait_for(receipts, self._timeout)
        done = next((place for place, receipt in enumerate(receipts) if not _confirmed(receipt)), len(receipts))
        if done < len(receipts):
            self._hang_up()  # this client would send them again by itself, besides us
        if not done:
            raise DeliveryError(f"{self.title}: the broker does not confirm what it was sent")
        return done

    def close(self) -> None:
        """Say that the stream has ended, where there is a connection."""
        client = self._client
        if client is not None and not self._lost.is_set():
            self._wait_for([client.publish(self._status, b"offline", qos=1, retain=True)], min(1.0, self._timeout))
        self._hang_up()

    def _wait_for(self, receipts: list[MQTTMessageInfo], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not all(map(_confirmed, receipts)) and time.monotonic() < deadline:
            if self._lost.wait(0.005):
                return

    @property
    def _status(self) -> str:
        return f"{self._prefix}/status"

    def _topic(self, record: bytes) -> str:
        event = json.loads(record)
        place = f"camera/{_level(event['source'])}" if event["source"] else "stream"
        return f"{self._prefix}/{place}/{_level(event['kind'])}"

    def _connect(self) -> None:
        """Make a client for one connection: one that outlived it would keep messages of its own."""
        client: Client = self._paho.Client(self._paho.CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        answered, answer = Flag(), list[str]()
        self._lost = lost = Flag()

        def connected(_client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
            if reason.is_failure:
                answer.append(str(reason))
            answered.set()

        def disconnected(*_: object) -> None:
            lost.set()
            answered.set()

        client.on_connect = connected
        client.on_disconnect = disconnected
        client.connect_timeout = self._timeout
        client.will_set(self._status, b"offline", qos=1, retain=True)
        if self._parts.username is not None:
            client.username_pw_set(unquote(self._parts.username), unquote(self._parts.password or ""))
        try:
            if self._parts.scheme == "mqtts":
                client.tls_set(ca_certs=self._authorities)
            client.connect(self._parts.hostname or "", self._port, keepalive=_KEEPALIVE_SECONDS)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise DeliveryError(f"{self.title} cannot be reached: {reason}") from error
        self._client = client
        client.loop_start()
        if not answered.wait(self._timeout) or answer or lost.is_set():
            self._hang_up()
            raise DeliveryError(f"{self.title} refuses: {answer[0] if answer else 'it does not speak MQTT'}")
        client.publish(self._status, b"online", qos=1, retain=True)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"an MQTT broker needs an address like mqtt://host:1883, got {without_credentials(url)}")
    return parts


def _confirmed(receipt: MQTTMessageInfo) -> bool:
    return receipt.rc == 0 and receipt.is_published()


def _level(name: str) -> str:
    """Return a name fit for one level of a topic."""
    return re.sub(r"[+#/\x00-\x1f]", "_", name)
