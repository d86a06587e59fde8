"""What a call is: a set of events, and one pure function that says what the set looks like. See README.md."""

from shared.call._call import Call, Leg, State
from shared.call._order import distinct

__all__ = ["Call", "Leg", "State", "distinct"]
