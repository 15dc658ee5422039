# SPDX-License-Identifier: Apache-2.0
"""A registry of generated packages for npm, on the host's loopback unless an address is given."""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading


def make_package(name, dependencies, files, size):
    """(manifest, tarball): a package of small files."""
    manifest = {"name": name, "version": "1.0.0", "main": "index.js", "dependencies": dict.fromkeys(dependencies, "1.0.0")}
    contents = {"package.json": json.dumps(manifest).encode()}
    for number in range(files):
        contents["index.js" if number == 0 else f"lib/part{number}.js"] = (f"// {name} {number}\n" * size)[:size].encode()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for path, text in contents.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return manifest, data.getvalue()


class Registry:
    """Packages p0, p1, ...: each depends on the two with twice its number, so p0's tree has all."""

    def __init__(self, packages, files=10, size=2000, address=("127.0.0.1", 0), heard=lambda path: None):
        self.packages = {}
        for number in range(packages):
            needed = [f"p{n}" for n in (2 * number + 1, 2 * number + 2) if n < packages]
            self.packages[f"p{number}"] = make_package(f"p{number}", needed, files, size)
        self.heard = heard
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.reply(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(address, Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self, name, host):
        """What the registry says of a package. Its tarball is where the client has come to."""
        manifest, tarball = self.packages[name]
        digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        dist = {"tarball": f"http://{host}/{name}.tgz", "integrity": f"sha512-{digest}"}
        return json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"},
                           "versions": {"1.0.0": {**manifest, "dist": dist}}}).encode()

    def reply(self, request):
        self.heard(request.path)
        name = request.path.lstrip("/").split("?")[0]
        if name in self.packages:
            body = self.document(name, request.headers.get("Host", ""))
        elif name.removesuffix(".tgz") in self.packages:
            body = self.packages[name.removesuffix(".tgz")][1]
        else:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream" if name.endswith(".tgz") else "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
