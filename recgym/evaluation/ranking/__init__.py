"""Judging recommenders by where they rank what users consumed next: full ranking, stated protocol, intervals."""

from recgym.evaluation.ranking.base import Recommender, Retriever
from recgym.evaluation.ranking.building import (
    LeaveOneOutQueries,
    TimeSplitQueries,
    TimeTargets,
    Together,
    leave_one_out_queries,
    make_queries,
    time_split_queries,
)
from recgym.evaluation.ranking.challenge import (
    CHALLENGE_LENGTH,
    challenge_metrics,
    challenge_ndcg,
    r_precision,
    r_precision_with_artists,
    recommended_songs_clicks,
)
from recgym.evaluation.ranking.evaluate import evaluate_ranking
from recgym.evaluation.ranking.intervals import UserBootstrap
from recgym.evaluation.ranking.metrics import Targets, query_metrics
from recgym.evaluation.ranking.popularity import catalogue_coverage, popularity_metrics
from recgym.evaluation.ranking.protocol import (
    TIE_RULE,
    NegativeLaw,
    RankingProtocol,
    SampledNegatives,
    SeenItems,
    log_digest,
)
from recgym.evaluation.ranking.queries import LaterTraining, RankingQueries
from recgym.evaluation.ranking.ranks import UNSERVED
from recgym.evaluation.ranking.report import RankingReport, paired_difference

__all__ = [
    "Recommender", "Retriever", "evaluate_ranking",
    "NegativeLaw", "RankingProtocol", "SampledNegatives", "SeenItems", "TIE_RULE", "log_digest",
    "LaterTraining", "LeaveOneOutQueries", "RankingQueries", "TimeSplitQueries", "TimeTargets", "Together",
    "leave_one_out_queries", "make_queries", "time_split_queries",
    "RankingReport", "Targets", "UNSERVED", "UserBootstrap", "paired_difference",
    "catalogue_coverage", "popularity_metrics", "query_metrics",
    "CHALLENGE_LENGTH", "challenge_metrics", "challenge_ndcg", "r_precision", "r_precision_with_artists",
    "recommended_songs_clicks",
]  # fmt: skip
