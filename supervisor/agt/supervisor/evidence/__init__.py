"""What the traffic shows about the candidate beside control, valid however often one looks.

One method: a confidence sequence for the difference of two failure rates, on counts kept by groups of devices. A rule
acts on *shown worse*, a gate on *shown not worse*, and everything between is undecided.
"""

from agt.supervisor.evidence._alpha import AlphaShare, split_alpha
from agt.supervisor.evidence._boundary import Boundary
from agt.supervisor.evidence._clusters import Cluster, Rate, rate_of
from agt.supervisor.evidence._comparison import MIN_CLUSTERS, Comparison, Shown, compare_rates

__all__ = (
    "MIN_CLUSTERS",
    "AlphaShare",
    "Boundary",
    "Cluster",
    "Comparison",
    "Rate",
    "Shown",
    "compare_rates",
    "rate_of",
    "split_alpha",
)
