"""Resolves `$NAME` references from the secrets file or the environment, only in the process that connects. No Django.

Errors and lists contain names, never values. Each resolved value is added to the process's redactor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from connections.sdk.errors import ConfigurationInvalid, SecretMissing
from connections.sdk.parameters import SECRET_NAME
from connections.sdk.records import dataclass
from connections.secrets import file as secrets_file
from connections.secrets.file import Problem
from connections.secrets.redaction import redactor

NAME = re.compile(SECRET_NAME, re.ASCII)
# Variables of the process itself. Users who may edit connections must not be able to send them to a server.
_OWNED = re.compile(
    r"_|DATABASE_URL|DISPLAY|HOME|HOSTNAME|LANG(UAGE)?|LOGNAME|MAIL|(OLD)?PWD|PATH|SECRET_KEY|SHELL|SHLVL|TERM|TMPDIR|TZ"
    r"|USER|VIRTUAL_ENV|PYTHON.*|PIPEKIT_SECRET_ENVIRONMENT|PIPEKIT_(?!SECRET_).*|(AWS|AZURE|CI|CRONTAB|DJANGO|GCP|GIT|GITHUB|GITLAB|GOOGLE"
    r"|KUBERNETES|LC|LD|PIP|SSH|SSL|SUDO|SYSTEMD|VAULT|XDG)_.*",
    re.DOTALL,
)
# Variables in which other programs keep tokens and keys. Names of database passwords differ ($DB2PW).
_FOREIGN = re.compile(
    r"(ANSIBLE|ANTHROPIC|ARM|BITBUCKET|BUILDKITE|CARGO|CIRCLE|CLAUDE|CLOUDFLARE|CLOUDSDK|CODEX|COHERE|CONSUL|DATADOG"
    r"|DIGITALOCEAN|DOCKER|FIREBASE|FLY|GCLOUD|GEMINI|GH|GPG|GROQ|HEROKU|HF|HUGGING_?FACE(HUB)?|JENKINS|KUBE|LINODE"
    r"|MISTRAL|NETLIFY|NEW_?RELIC|NODE|NOMAD|NPM|OPENAI|OPENROUTER|PERPLEXITY|POETRY|PULUMI|PYPI|SENDGRID|SENTRY|SLACK"
    r"|SOPS|STRIPE|TAILSCALE|TELEGRAM|TERRAFORM|TF|TRAVIS|TWILIO|TWINE|UV|VERCEL|XAI|YARN)_.*"
    r"|(.*_)?(TOKEN|API_?KEY|ACCESS_?KEY(_?ID)?|PRIVATE_KEY|SECRET_KEY|SIGNING_KEY|ENCRYPTION_KEY|CLIENT_SECRET"
    r"|CREDENTIALS?)",
    re.DOTALL,
)
_path: Path | None = None
# names that may be read from the environment; None: all but the process's own and other programs' (see is_readable)
_environment: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStore:
    """The secrets file, read again for each call, and the environment for names that are not in it."""

    path: Path | None = None
    # the only names read from the environment; None: see `is_readable`
    environment: frozenset[str] | None = None

    def resolve(self, reference: str) -> str:
        """Return the value of `$NAME`, or an empty string for an empty reference.

        Raises SecretMissing, with the places searched, if it is not set; ConfigurationInvalid, which does not repeat
        the text, as it may be a password, if it is not a reference.
        """
        if not reference:
            return ""
        name = name_of(reference)
        value = self._file().values.get(name, self._from_environment(name))
        if value is None:
            raise SecretMissing(
                f"The secret {name} is not set.", hint=f"manage.py secrets set {name}", detail=self._searched(name)
            )
        redactor().add(value)
        return value

    def source(self, name: str) -> str:
        """Return where a secret comes from: `file`, `environment`, or an empty string if it is not set."""
        if name in self._file().values:
            return "file"
        return "" if self._from_environment(name) is None else "environment"

    def names(self) -> tuple[str, ...]:
        """Return the names in the secrets file, in the order of the file."""
        return tuple(self._file().values)

    def set(self, name: str, value: str) -> None:
        """Set one secret in the file, which is replaced atomically with mode 0600; other lines stay as they are."""
        check_name(name)
        if self.path is None:
            raise ConfigurationInvalid("There is no secrets file.", hint="Set secrets_file, or PIPEKIT_SECRETS.")
        secrets_file.write(self.path, name, value)
        redactor().add(value)

    def check(self) -> tuple[Problem, ...]:
        """Return the problems of the file: its permissions, and lines that are not NAME=value."""
        return () if self.path is None else secrets_file.problems(self.path)

    def _file(self) -> secrets_file.Contents:
        return secrets_file.read(self.path) if self.path is not None else secrets_file.Contents()

    def _from_environment(self, name: str) -> str | None:
        return os.environ.get(name) if is_readable(name, self.environment) else None

    def _searched(self, name: str) -> str:
        """Return a sentence with the places that were searched for a secret."""
        file = "no secrets file is set" if self.path is None else f"the file {self.path}"
        if self.path is not None and not self.path.exists():
            file += " (which does not exist)"
        if is_owned(name):
            return f"Looked in: {file}. The environment's {name} belongs to the process and is never used as a secret."
        if not is_readable(name, self.environment):
            why = "is a token of another program" if self.environment is None else "is not in secret_environment"
            return (
                f"Looked in: {file}. The environment's {name} {why} and is not used; put the secret into the file, or"
                " name it in secret_environment of config.yaml."
            )
        bad = ", ".join(map(str, self._file().bad_lines))
        invalid = f" Invalid lines of the file: {bad}." if bad else ""
        return f"Looked in: {file}; the environment variable {name}.{invalid}"


def name_of(reference: str) -> str:
    """Return NAME of `$NAME`. Raises ConfigurationInvalid, without repeating the text, if it is not a reference."""
    name = reference.removeprefix("$")
    if name == reference or not NAME.fullmatch(name):
        raise ConfigurationInvalid(
            "The password is not a reference to a secret.",
            hint="Write $ and a name in capital letters, such as $DW_PW, and: manage.py secrets set DW_PW.",
        )
    return name


def check_name(name: str) -> None:
    """Raise ConfigurationInvalid if it is not a valid name. Does not repeat it, as it may be a value by mistake."""
    if not NAME.fullmatch(name):
        raise ConfigurationInvalid("A secret's name is capital letters, digits and “_”, such as DW_PW.")


def is_owned(name: str) -> bool:
    """Return whether the variable is one of the process itself, which is never read as a secret."""
    return _OWNED.fullmatch(name) is not None


def is_readable(name: str, listed: frozenset[str] | None) -> bool:
    """Return whether `$NAME` may be read from the environment. If ``listed`` is given, only its names may."""
    if is_owned(name):
        return False
    if listed is not None:
        return name in listed
    return name.startswith("PIPEKIT_SECRET_") or _FOREIGN.fullmatch(name) is None


def configure(path: str | os.PathLike[str] | None, *, environment: Iterable[str] | None = None) -> None:
    """Set the secrets file, and the names that may be read from the environment, for `store`.

    Without a path, PIPEKIT_SECRETS (or PIPEKIT_SECRETS_FILE) names the file. Without names, see `is_readable`.
    """
    global _path, _environment
    _path = None if path is None else Path(path)
    _environment = None if environment is None else frozenset(environment)


def store() -> SecretStore:
    """Return the secrets of this install."""
    variable = os.environ.get("PIPEKIT_SECRETS") or os.environ.get("PIPEKIT_SECRETS_FILE")
    return SecretStore(path=_path or (Path(variable).absolute() if variable else None), environment=_environment)
