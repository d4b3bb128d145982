"""`mull fetch`: stand-in until the real one lands."""


def register(app):
    pass
