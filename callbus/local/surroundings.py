"""The CALLBUS_* variables of each program, and the secrets and ports behind them, all kept under `.run/`."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from callbus.local import ports
from callbus.local.files import secret
from callbus.local.parts import ROLES

DATABASE = "callbus"


class Surroundings:
    """Where everything of one run is: addresses, ports, secrets.

    `replicas` holds how many processes each service has; they are named `history`, `history-2`, and so on.
    """

    def __init__(
        self, directory: Path, replicas: Mapping[str, int], edge_port: int | None, preferred_edge_port: int | None
    ) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.recordings = directory / "recordings"
        self.replicas = replicas
        self._edge_port = edge_port
        self._preferred_edge_port = preferred_edge_port

    def prepare(self) -> None:
        """Create directories and secrets; secrets of an earlier run are kept."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._edge_port is not None:  # the next run has it too, so that URLs that were given out stay good
            ports.remember(self.directory / "ports.json", "edge", self._edge_port)
        for private in (self.secrets, self.directory / "data", self.directory / "log", self.recordings):
            private.mkdir(mode=0o700, exist_ok=True)
        secret(self.secrets / "master.key", lambda: base64.b64encode(secrets.token_bytes(32)).decode())
        secret(self.secrets / "operator.token", lambda: secrets.token_urlsafe(32))
        secret(self.secrets / "link.key", lambda: secrets.token_urlsafe(32))
        for role in ROLES:
            self._password(role)
        for program in self.programs():
            (self.directory / "data" / program).mkdir(mode=0o700, exist_ok=True)

    def programs(self) -> dict[str, str]:
        """Return program name -> service, one per replica."""
        return {
            service if number == 1 else f"{service}-{number}": service
            for service, count in self.replicas.items()
            for number in range(1, count + 1)
        }

    @property
    def edge_port(self) -> int:
        if self._edge_port is not None:
            return self._edge_port
        return ports.remembered(self.directory / "ports.json", ["edge"], self._preferred_edge_port)["edge"]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.edge_port}"

    def port(self, name: str) -> int:
        return ports.remembered(self.directory / "ports.json", self.programs())[name]

    def url(self, program: str) -> str:
        """Return the base URL of one program's own port."""
        return f"http://127.0.0.1:{self.port(program)}"

    def administrator(self, amqp_url: str, postgres_dsn: str) -> dict[str, str]:
        """Return the variables of the command line: the administrator of this run."""
        return {
            "CALLBUS_AMQP_URL": amqp_url,
            "CALLBUS_POSTGRES_DSN": postgres_dsn,
            "CALLBUS_BASE_URL": self.base_url,
            "CALLBUS_MASTER_KEY_FILE": str(self.secrets / "master.key"),
            "CALLBUS_OPERATOR_TOKEN_FILE": str(self.secrets / "operator.token"),
            "CALLBUS_ROLE_PASSWORDS_DIR": str(self.secrets),
            "CALLBUS_DEMO_FILE": str(self.directory / "demo.json"),
            **{f"CALLBUS_{service.upper()}_URL": self.url(service) for service in self.replicas},
        }

    def service(self, program: str, amqp_url: str, postgres_dsn: str) -> dict[str, str]:
        """Return the complete environment of one service process; variables set by the caller (a log level) count."""
        service = self.programs()[program]
        given = {name: value for name, value in os.environ.items() if name.startswith("CALLBUS_")}
        return {
            **basics(self.directory),
            **given,
            "CALLBUS_AMQP_URL": amqp_url,
            "CALLBUS_POSTGRES_DSN": self._role_dsn(service, postgres_dsn),
            "CALLBUS_LISTEN_HOST": "127.0.0.1",
            "CALLBUS_LISTEN_PORT": str(self.port(program)),
            "CALLBUS_BASE_URL": self.base_url,
            "CALLBUS_MASTER_KEY_FILE": str(self.secrets / "master.key"),
            "CALLBUS_OPERATOR_TOKEN_FILE": str(self.secrets / "operator.token"),
            "CALLBUS_LINK_KEY_FILE": str(self.secrets / "link.key"),
            "CALLBUS_RECORDINGS_URL": self.recordings.as_uri(),
            "CALLBUS_JOURNAL_DIR": str(self.directory / "journal"),
            "CALLBUS_DATA_DIR": str(self.directory / "data" / program),
        }

    def edge(self) -> dict[str, str]:
        """Return the complete environment of Caddy, which stores nothing outside the run's directory."""
        programs = self.programs()
        upstreams = {
            f"CALLBUS_{service.upper()}_UPSTREAM": " ".join(
                f"127.0.0.1:{self.port(program)}" for program, of in programs.items() if of == service
            )
            for service in self.replicas
        }
        storage = str(self.directory / "caddy")
        return {
            **basics(self.directory),
            "XDG_DATA_HOME": storage,
            "XDG_CONFIG_HOME": storage,
            # Any host name, so that localhost works as well as 127.0.0.1; plain HTTP.
            "CALLBUS_SITE_ADDRESS": f"http://:{self.edge_port}",
            "CALLBUS_SITE_BIND": "127.0.0.1",
            **upstreams,
        }

    def _role_dsn(self, service: str, administrator_dsn: str) -> str:
        parts = urlsplit(administrator_dsn)
        database = parts.path.lstrip("/")
        _, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{database}_{service}:{self._password(service)}@{host}"))

    def _password(self, role: str) -> str:
        return secret(self.secrets / f"{role}.password", lambda: secrets.token_urlsafe(24))


def basics(home: Path) -> dict[str, str]:
    """Return what any program needs of an environment."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
