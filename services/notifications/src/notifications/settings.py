"""What this service reads beyond the common settings: the mail server, and what mails say of us."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, at the start. A wrong value stops the start."""

    smtp_host: str = "127.0.0.1"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout: Annotated[float, Field(gt=0, le=60)] = 20.0
    """Seconds for one step of the dialogue with the mail server."""
    mail_from: Annotated[str, Field(max_length=254, pattern=r"^[^\s@<>]+@[^\s@<>]+$")] = "requests@localhost"
    portal_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where people see their requests; mails link there when it is set."""
    senders: Annotated[int, Field(ge=1, le=8)] = 8
    """Mails on their way at once in one sender process, each over a connection that is kept."""

    @model_validator(mode="after")
    def _login_is_whole_and_safe(self) -> "Settings":
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("smtp_username needs smtp_password, and the other way round")
        if self.smtp_username and self.smtp_security == "none" and self.env == "production":
            raise ValueError("smtp_security must be starttls or tls where there is a login")
        return self
