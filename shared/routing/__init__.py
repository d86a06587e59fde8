"""Who must see a call, and why: one pure function of the event, the directory and the time. See README.md."""

from shared.routing._decide import Explanation, Other, decide, explain

__all__ = ["Explanation", "Other", "decide", "explain"]
