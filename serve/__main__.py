"""Run the service: `python -m serve`."""

from __future__ import annotations

import sys
from contextlib import suppress

import uvicorn

from medexp.errors import MedexpError
from serve.app import create_app
from serve.settings import load_settings


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit status."""
    try:
        settings = load_settings()
    except MedexpError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    app = create_app(settings)
    with suppress(KeyboardInterrupt):
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,  # create_app has configured the log
            access_log=False,  # each request is logged with its id by serve.middleware.request
            server_header=False,
            timeout_graceful_shutdown=20,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
