"""The page's own files: read from the package once, served from memory by a fixed table."""

from __future__ import annotations

from importlib import resources

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

FILES = (
    "index.html",
    "denied.html",
    "icon.svg",
    "css/base.css",
    "css/layout.css",
    "css/panels.css",
    "js/main.js",
    "js/actions.js",
    "js/connection.js",
    "js/counts.js",
    "js/dom.js",
    "js/eventlist.js",
    "js/freshness.js",
    "js/graph.js",
    "js/legend.js",
    "js/message.js",
    "js/requests.js",
    "js/signs.js",
    "js/sources.js",
    "js/stage.js",
    "js/toast.js",
    "js/zone_editor.js",
    "js/zone_list.js",
    "js/zone_shapes.js",
)


def load_page() -> dict[str, tuple[bytes, str]]:
    """Return content and content type by the path in the package's folder."""
    folder = resources.files("edgeseg_runtime.web").joinpath("static")
    return {name: (folder.joinpath(name).read_bytes(), TYPES[name.rpartition(".")[2]]) for name in FILES}
