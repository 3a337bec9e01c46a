"""How the gateway trusts a part behind it and shows itself to it: certificates, checked once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from service.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates for connections to one part. All files are PEM."""

    where: str = "TLS"
    """What the settings of this part are called, for errors: `INTERESTS_REDIS_TLS`."""
    ca_file: Path | None = None
    """The authorities to trust, instead of the system's."""
    cert_file: Path | None = None
    """The certificate that is shown to the server."""
    key_file: Path | None = None
    """The key of `cert_file`, where that does not hold it."""
    verify: bool = True
    """False accepts any certificate."""

    def check(self) -> None:
        """Raise `ConfigurationError` for a file that is missing or a key without certificate."""
        for name, path in self._files().items():
            if not path.is_file():
                raise ConfigurationError(f"{self.where}__{name}: {path} is not a file")
        if self.key_file is not None and self.cert_file is None:
            raise ConfigurationError(f"{self.where}__KEY_FILE needs {self.where}__CERT_FILE")

    def refuse_any(self, remedy: str) -> None:
        """Raise `ConfigurationError` where a file is set though no connection would use it."""
        for name in self._files():
            raise ConfigurationError(f"{self.where}__{name} {remedy}")

    def context(self) -> ssl.SSLContext:
        """The context of such connections. Raises `ConfigurationError` for a bad file."""
        self.check()
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(map(str, self._files().values()))
            raise ConfigurationError(
                f"{self.where}: a certificate file cannot be used ({named}): {error}"
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _files(self) -> dict[str, Path]:
        """The files that are set, by their setting's last word."""
        files = {"CA_FILE": self.ca_file, "CERT_FILE": self.cert_file, "KEY_FILE": self.key_file}
        return {name: path for name, path in files.items() if path is not None}
