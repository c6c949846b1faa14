"""Takes journals in chunks as VictoriaLogs does, and writes requests and entries to /var/tmp/taken."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Taker(BaseHTTPRequestHandler):
    """One upload."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Write down how it was asked, then each chunk as it comes."""
        with Path("/var/tmp/taken").open("ab") as taken:
            taken.write(f"POST {self.path} {self.headers['Authorization']}\n".encode())
            while size := int(self.rfile.readline().split(b";")[0], 16):
                taken.write(self.rfile.read(size))
                taken.flush()
                self.rfile.readline()
            self.rfile.readline()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", 8427), Taker).serve_forever()
