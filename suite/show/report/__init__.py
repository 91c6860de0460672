"""``results/<preset>/report.html``: one page of all results that needs nothing but itself."""

from suite.show.report.page import write_report

__all__ = ["write_report"]
