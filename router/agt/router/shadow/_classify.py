"""Which messages act on the world: those must never be mirrored to anything that can act.

A classifier knows some messages and passes on the rest; what none of them knows is a write. So a mistake in a
classifier's table can cost a comparison, and only a message that is wrongly called a read can cost more.
"""

import enum
from collections.abc import Callable

from agt.router._path import Message


class Act(enum.StrEnum):
    """What a message does to the world."""

    READ = "read"
    """Nothing: it asks, and may be asked twice."""
    WRITE = "write"
    """It acts, or nobody knows that it doesn't."""


Classifier = Callable[[Message], Act | None]
"""Says what a message does; None when it doesn't know the message. An exception counts as not knowing."""


def everything_writes(_: Message) -> Act:
    """Call every message a write: the fallback."""
    return Act.WRITE


def first_of(*classifiers: Classifier) -> Classifier:
    """Return a classifier that asks each in turn and takes the first answer: for a fleet with several wires."""

    def classify(message: Message) -> Act | None:
        answers = (_asked(classifier, message) for classifier in classifiers)
        return next((answer for answer in answers if answer is not None), None)

    return classify


def act_of(classifier: Classifier, message: Message) -> Act:
    """Return what a message does; a write unless the classifier clearly says that it is a read."""
    return Act.READ if _asked(classifier, message) is Act.READ else Act.WRITE


def _asked(classifier: Classifier, message: Message) -> Act | None:
    try:
        return classifier(message)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the message may act on the world.
        return None
