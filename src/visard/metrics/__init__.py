"""Measures of linkability, resemblance and quality: one file a metric, one row a metric."""

from visard.faces.quality import agreement
from visard.metrics.appearance import appearance_similarity
from visard.metrics.attributes import attribute_agreement
from visard.metrics.brisque import brisque
from visard.metrics.caption_agreement import caption_agreement
from visard.metrics.copy_paste import copy_paste
from visard.metrics.diversity import diversity
from visard.metrics.face_success import face_success
from visard.metrics.frechet import fid, kid
from visard.metrics.identification import tpir
from visard.metrics.identity_similarity import identity_similarity
from visard.metrics.lift import attribute_lift
from visard.metrics.linkability import d_sys
from visard.metrics.metric import Metric
from visard.metrics.naturalness import naturalness_distance
from visard.metrics.open_set import open_set_tpir
from visard.metrics.picture_similarity import picture_similarity
from visard.metrics.quantities import quantity_correlation, tolerance_agreement
from visard.metrics.retrieval import median_rank, rank_from_bottom, retrieval_rate
from visard.metrics.subject_linkage import linked_at_least_once, worst_decile
from visard.metrics.verification import auc, equal_error_rate, match_rate

_INF = float("inf")

METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric("fsr", "face success rate", "higher", 0, 1, "faces", "IDDM", face_success),
        Metric(
            "ism", "similarity to the person", "lower", -1, 1, "similarities", "IDDM", identity_similarity
        ),
        Metric("rank_k", "person in the first k", "lower", 0, 1, "ranks", "IDDM", retrieval_rate),
        Metric("median_rank", "median rank", "higher", 1, _INF, "ranks", "IDDM", median_rank),
        Metric(
            "bottom_rank",
            "rank from below",
            "neither",
            1,
            _INF,
            "similarities",
            "NIST FRTE",
            rank_from_bottom,
        ),
        Metric("tpir", "named in a search", "lower", 0, 1, "similarities", "NIST FRTE", tpir),
        Metric(
            "open_set", "named, half not enrolled", "lower", 0, 1, "similarities", "NIST FRTE", open_set_tpir
        ),
        Metric("tmr", "true match rate", "lower", 0, 1, "similarities", "ISO 19795-1", match_rate),
        Metric("eer", "equal error rate", "higher", 0, 1, "score sets", "ISO 19795-1", equal_error_rate),
        Metric("auc", "area under the ROC", "neither", 0, 1, "score sets", "Mann & Whitney 1947", auc),
        Metric("d_sys", "linkability", "lower", 0, 1, "score sets", "Gomez-Barrero et al. 2018", d_sys),
        Metric(
            "linked_in_k", "linked in k pictures", "lower", 0, 1, "linked", "NIST FRTE", linked_at_least_once
        ),
        Metric("worst_decile", "linked, worst tenth", "lower", 0, 1, "linked", "NIST FRTE", worst_decile),
        Metric("fid", "Fréchet distance", "lower", 0, _INF, "features", "Heusel et al. 2017", fid),
        Metric("kid", "kernel distance", "lower", -_INF, _INF, "features", "Binkowski et al. 2018", kid),
        Metric("brisque", "BRISQUE", "lower", 0, 100, "pictures", "Mittal et al. 2012", brisque),
        Metric(
            "naturalness", "unnaturalness", "lower", 0, _INF, "pictures", "Mittal 2013", naturalness_distance
        ),
        Metric("ser", "SER-FIQ", "higher", 0, 1, "crops", "Terhörst et al. 2020", agreement),
        Metric("attributes", "attribute agreement", "higher", 0, 1, "attributes", "", attribute_agreement),
        Metric(
            "quantities", "agreement within tolerance", "higher", 0, 1, "quantities", "", tolerance_agreement
        ),
        Metric("correlation", "follows the person", "higher", -1, 1, "quantities", "", quantity_correlation),
        Metric(
            "appearance", "alike as described", "higher", -1, 1, "descriptions", "", appearance_similarity
        ),
        Metric("lift", "lift over attributes", "higher", -1, 1, "agreements", "", attribute_lift),
        Metric(
            "clip_i", "picture similarity", "higher", -1, 1, "features", "DreamBooth 2023", picture_similarity
        ),
        Metric(
            "clip_t", "prompt agreement", "higher", -1, 1, "features", "Hessel et al. 2021", caption_agreement
        ),
        Metric("diversity", "diversity", "higher", 0, 2, "features", "DreamBooth 2023", diversity),
        Metric("copy_paste", "copy-paste", "lower", 0, 1, "nearest", "Meehan et al. 2020", copy_paste),
    )
}

__all__ = ["METRICS", "Metric"]
