"""What can go when a migration is over: code, tests, configuration and dependencies, found and never touched."""

from agt.supervisor.cleanup._find import Find, FindKind
from agt.supervisor.cleanup._python import find_in_python
from agt.supervisor.cleanup._settings import CONFIGURATION_KEYS, find_in_settings
from agt.supervisor.cleanup._standing import Standing, from_report, judge_standing
from agt.supervisor.cleanup._tree import Survey, survey_tree

__all__ = (
    "CONFIGURATION_KEYS",
    "Find",
    "FindKind",
    "Standing",
    "Survey",
    "find_in_python",
    "find_in_settings",
    "from_report",
    "judge_standing",
    "survey_tree",
)
