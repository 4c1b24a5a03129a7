"""One self-contained HTML page about a stored run: what a colleague opens without having rxpool.

Question, configuration, answer, timeline, drops by reason, page places over time, CPU use, and with further runs the
comparison with intervals. Scripts are inlined, a content security policy allows these scripts and nothing else, and no
request leaves the page. Every sample is in the page; the curves draw at most a few thousand of them at a time, the
smallest and the largest of each stretch, and draw anew when the view changes.
"""

from __future__ import annotations

from rxpool.report.page import page, write

__all__ = ["page", "write"]
