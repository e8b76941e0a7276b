"""``recgym view``: look at runs in the browser, also while they go on."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """Show runs in the browser, compared and one by one, and follow those that go on; nothing is written or changed.

    Attributes:
        folders: of runs, or folders that hold runs, however deep.
        host: address to listen on. Beyond 127.0.0.1 anybody who reaches this machine can read the runs.
        port: to listen on; 0 for a free one.
        export: write all of it as one HTML file that needs no network, and print where it is, in place of serving.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]] = (Path("runs"),)
    host: str = "127.0.0.1"
    port: int = 8787
    export: Path | None = None

    def run(self) -> int:
        """Serve until interrupted, or export."""
        from recgym.files import atomic_file, check_writable
        from recgym.report.live import LiveView, export_page, serve

        if self.export is not None:
            check_writable(self.export.parent)
            page = export_page(self.folders)
            with atomic_file(self.export) as temporary:
                temporary.write_text(page, encoding="utf-8")
            print(self.export)
            return 0
        local = self.host in ("127.0.0.1", "localhost", "::1")
        server = serve(LiveView(self.folders) if local else LiveView(self.folders, None), self.host, self.port)
        address = f"[{self.host}]" if ":" in self.host else self.host
        print(f"http://{address}:{server.port}/", flush=True)
        print("stop it with Ctrl-C", file=sys.stderr)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()
        return 0
