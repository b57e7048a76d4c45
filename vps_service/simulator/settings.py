from pydantic import Field

from shared.settings import HttpUrl, Secret, Settings


class SimulatorSettings(Settings):
    """`simulator_public_url` is where a buyer's browser finds the checkout pages.

    `vps_webhook_url` is told of every outcome, `https://host/api/payments/webhooks/simulator`; without it nobody is.
    """

    simulator_host: str = "127.0.0.1"
    simulator_port: int = Field(8002, ge=1, le=65535)
    simulator_public_url: HttpUrl = "http://localhost:8002"
    simulator_secret: Secret
    vps_webhook_url: HttpUrl | None = None
