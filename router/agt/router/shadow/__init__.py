"""Mirrored messages: what the other runtime would have done, compared by field and held against the noise.

`agt.router.shadow.cync` and `agt.router.shadow.lines` bring the classifiers and decoders of those wires.
"""

from agt.router.shadow._classify import Act, Classifier, act_of, everything_writes, first_of
from agt.router.shadow._compare import Comparison, FieldDifference, compare_leaves
from agt.router.shadow._fields import ABSENT, Extractor, Leaf, json_fields, raw_fields, reply_leaves
from agt.router.shadow._merge import merge_reports
from agt.router.shadow._odds import ALPHA, MARGIN, Judged, PairCounts, ShadowVerdict, judge_pairs, verdict_of
from agt.router.shadow._report import FieldReport, ShadowReport, TriedReport, report, summary
from agt.router.shadow._rules import NO_RULES, Room, RulesInvalid, Same, ShadowRules, parse_shadow_rules
from agt.router.shadow._shadow import SHADOW_QUEUE_MAX, Shadow, ShadowWork
from agt.router.shadow._tally import Example, FieldTally, Tally
from agt.router.shadow._twin import Answered, Twin

__all__ = (
    "ABSENT",
    "ALPHA",
    "MARGIN",
    "NO_RULES",
    "SHADOW_QUEUE_MAX",
    "Act",
    "Answered",
    "Classifier",
    "Comparison",
    "Example",
    "Extractor",
    "FieldDifference",
    "FieldReport",
    "FieldTally",
    "Judged",
    "Leaf",
    "PairCounts",
    "Room",
    "RulesInvalid",
    "Same",
    "Shadow",
    "ShadowReport",
    "ShadowRules",
    "ShadowVerdict",
    "ShadowWork",
    "Tally",
    "TriedReport",
    "Twin",
    "act_of",
    "compare_leaves",
    "everything_writes",
    "first_of",
    "json_fields",
    "judge_pairs",
    "merge_reports",
    "parse_shadow_rules",
    "raw_fields",
    "reply_leaves",
    "report",
    "summary",
    "verdict_of",
)
