"""What a policy's state is made of: encoders of sets of users and of their sequences."""

from recgym.encoders.activation import (
    Association,
    BaseLevel,
    TopItems,
    base_level,
    item_sums,
    item_weights,
    partial_matching,
    retrieval_chance,
    retrieve,
    spreading,
    top_items,
)
from recgym.encoders.base import Backbone, Capabilities, EncoderState, SequenceEncoder
from recgym.encoders.baselines import Baseline, BaselineConfig, Popularity, PopularityConfig, Recency, RecencyConfig
from recgym.encoders.batch import Batch, Event, Example, Where
from recgym.encoders.bert4rec import BERT4RecConfig
from recgym.encoders.cape import CAPEConfig, ContextualPositions
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.comirec import Capsules, CapsulesConfig, ComiRecConfig, Interests, InterestsConfig
from recgym.encoders.events import EventInputs, FeedbackScale
from recgym.encoders.fit import Epoch, FitConfig, Stage, fit
from recgym.encoders.fitted import FittedEncoder, ModelConfig
from recgym.encoders.gru4rec import GRU4RecConfig, GRUBackbone
from recgym.encoders.heads import Head, LastState, MeanState
from recgym.encoders.hstu import HSTUConfig
from recgym.encoders.icsrec import ICSRecConfig
from recgym.encoders.intents import SameIntent, SameTarget
from recgym.encoders.interleaved import Answers, Interleaved, candidate_states, score_candidates
from recgym.encoders.items import FeatureItems, IdItems, ItemModule, TextItems
from recgym.encoders.mean_pool import MeanPoolBackbone, MeanPoolConfig
from recgym.encoders.model import NextItemModel
from recgym.encoders.models import MODELS, AnyModelConfig, load_encoder
from recgym.encoders.mqsa_ted import MQSATEDConfig, TwoQueries
from recgym.encoders.neighbours import ItemKNN, ItemKNNConfig, Markov, MarkovConfig
from recgym.encoders.objectives import EpochHook, NextItem, Objective, Step, Term
from recgym.encoders.pisa import PISA, PISAConfig, SessionHistories, SessionTimes, fit_pisa
from recgym.encoders.rearec import Ensemble, Progressive, ReaRecConfig
from recgym.encoders.reasoning import Apart, EarlierSteps, Reasoning, Steady
from recgym.encoders.retrieval import Diversity, ItemRetriever
from recgym.encoders.sadae import SADAE, SADAEConfig, SetPosterior, linear_probe
from recgym.encoders.sasrec import SASRecConfig
from recgym.encoders.scorers import Cosine, Dot, FactoredScorer, MLPScorer, Scorer
from recgym.encoders.sequences import Sequences
from recgym.encoders.sessions import Borders, SessionGaps, SessionNumbers
from recgym.encoders.sigma import SIGMAConfig
from recgym.encoders.states import encode_log
from recgym.encoders.streaming import StreamHits, fit_stream
from recgym.encoders.transforms import Cloze, Crop, OnlyLiked, Segment, Sessionise, WithinSessions
from recgym.encoders.transitions import DistilTransitions, Transitions
from recgym.seeding import seeded

__all__ = [
    "Batch", "Event", "Example", "Sequences", "Where",
    "Catalogue", "EventConfig", "EventInputs", "FeedbackScale",
    "FeatureItems", "IdItems", "ItemModule", "TextItems",
    "Backbone", "Capabilities", "EncoderState", "SequenceEncoder",
    "Head", "LastState", "MeanState",
    "Cosine", "Dot", "FactoredScorer", "MLPScorer", "Scorer",
    "NextItemModel",
    "EpochHook", "NextItem", "Objective", "Step", "Term",
    "Epoch", "FitConfig", "Stage", "fit", "seeded",
    "StreamHits", "fit_stream",
    "MODELS", "AnyModelConfig", "FittedEncoder", "ModelConfig", "load_encoder", "encode_log",
    "CAPEConfig", "HSTUConfig",
    "SASRecConfig",
    "ICSRecConfig", "SameIntent", "SameTarget",
    "DistilTransitions", "MQSATEDConfig", "Transitions", "TwoQueries",
    "Apart", "EarlierSteps", "Ensemble", "Progressive", "ReaRecConfig", "Reasoning", "Steady",
    "BERT4RecConfig", "GRU4RecConfig", "GRUBackbone", "MeanPoolBackbone", "MeanPoolConfig",
    "Baseline", "BaselineConfig", "ItemKNN", "ItemKNNConfig", "Markov", "MarkovConfig",
    "Popularity", "PopularityConfig", "Recency", "RecencyConfig",
    "Borders", "SessionGaps", "SessionNumbers",
    "Cloze", "Crop", "OnlyLiked", "Segment", "Sessionise", "WithinSessions",
    "ContextualPositions",
    "Answers", "Interleaved", "candidate_states", "score_candidates",
    "Capsules", "CapsulesConfig", "ComiRecConfig", "Interests", "InterestsConfig", "SIGMAConfig",
    "Diversity", "ItemRetriever",
    "SADAE", "SADAEConfig", "SetPosterior", "linear_probe",
    "PISA", "PISAConfig", "SessionHistories", "SessionTimes", "fit_pisa",
    "Association", "BaseLevel", "TopItems", "base_level", "item_sums", "item_weights", "partial_matching",
    "retrieval_chance", "retrieve", "spreading", "top_items",
]  # fmt: skip
