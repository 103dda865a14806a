"""The browser viewer: a small server in a thread of its own, and the page it serves. Needs the extra `web`.

Importing any module of it raises MissingExtraError where the server's package is not installed.
"""

from __future__ import annotations

from edgeseg_runtime.extras import require

require("aiohttp", "web")
