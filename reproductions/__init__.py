"""One script a published claim: ``python -m reproductions.NAME [--quick] [--out FILE]``; see CONTRIBUTING.md."""
