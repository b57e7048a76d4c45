"""Whether this kernel can keep what strangers made from what is none of its business: asked once, at the start."""

import logging
import platform

from cloud_service.media.confined import knows_calls, landlock_version
from cloud_service.settings import NodeSettings
from shared.settings import stop

log = logging.getLogger(__name__)


def check_kernel(settings: NodeSettings) -> None:
    """Ends this process if it cannot, or if it can only in part and the settings ask for more."""
    if not knows_calls():
        stop(f"what looks into videos cannot be confined on {platform.machine()}")
    if landlock_version():
        return
    if settings.confinement_required:
        stop("this kernel has no Landlock, which TOPTANK_CONFINEMENT_REQUIRED asks for")
    log.warning("this kernel has no Landlock: what looks into videos sees every file that this process may read")
