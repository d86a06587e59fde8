"""Property tests have no deadline per example: a busy machine is no bug."""

from hypothesis import settings

settings.register_profile("callbus", deadline=None)
settings.load_profile("callbus")
