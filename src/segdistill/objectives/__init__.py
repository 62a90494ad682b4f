"""What a student is asked to be good at: unreduced maps, their weights, and how terms are weighed.

Every objective is a pair: a map of values and a map of weights of the same shape, and the weights
need no forward pass. ``engine.weighted_mean`` reduces the pair with the total weight of the whole
optimiser step, so the parts of a batch add up to the whole.

    map        objectives                                              its weights
    b k y x    probability_mse, binary_cross_entropy, binary_kl,       pixel_weights
               surface_distance
    b y x      pixel_kl, standardised_kl (exclusive classes)           joint_weights
    b k        soft_dice, channel_kl, dist_intra                       image_weights
    b k        boundary_gradient                                       boundary_weights
    b y x      token_mse, token_cosine, token_smooth_l1, hidden_mse    token_weights
    b          gram, pairwise, attention_map                           grid_weights
    b m y x    prototype_matching (m: the outputs and the rest)        prototype_weights
    b n        normalised_patch_mse (n: patches)                       1 where the patch was hidden
    b          contrastive                                             1

``scores`` are logits, ``target`` is what a teacher said (or a label as 0 and 1), ``counts`` is how
much each pixel counts, 0 to 1. Half precision is widened to float32 inside. Values under pixels
that do not count never matter, but must be finite: 0 × nan is nan. The rows from token_mse to
prototype_matching compare features: tokens ``b d y x`` of student and teacher, and ``counts`` per token.
"""

from segdistill.plugins import lazy_exports

_WHERE = {
    "BALANCINGS": "balancing",
    "BOUNDARY": "borders",
    "Balancing": "balancing",
    "BoundaryTerm": "borders",
    "Collapse": "collapse",
    "DISTILLATION": "distillation",
    "Distillation": "distillation",
    "FEATURE_TERMS": "features",
    "FeatureTerm": "features",
    "FixedWeighting": "weighting",
    "LearnedWeighting": "weighting",
    "Moments": "moments",
    "PRINTED": "balancing",
    "SAFE": "balancing",
    "STANDARDISATIONS": "standardise",
    "Safety": "balancing",
    "Standardisation": "standardise",
    "attention_map": "relations",
    "binary_cross_entropy": "pixel",
    "binary_kl": "divergence",
    "boundary_gradient": "boundary",
    "boundary_term": "borders",
    "boundary_weights": "boundary",
    "bounded_uncertainty": "weighting",
    "build_balancing": "balancing",
    "build_weighting": "weighting",
    "channel_kl": "divergence",
    "contrastive": "contrast",
    "check_anchored": "distillation",
    "check_exclusive": "distillation",
    "collapsed_teachers": "collapse",
    "dist_intra": "correlation",
    "distillation_term": "distillation",
    "feature_term": "features",
    "fixed_weighting": "weighting",
    "gather_moments": "moments",
    "gram": "relations",
    "grid_weights": "features",
    "hidden_mse": "tokens",
    "image_weights": "weights",
    "joint_weights": "weights",
    "kept_shares": "balancing",
    "load_moments": "moments",
    "load_standardisation": "standardise",
    "merge_moments": "moments",
    "moments_of": "moments",
    "normalised_patch_mse": "patches",
    "pairwise": "relations",
    "pixel_kl": "divergence",
    "pixel_weights": "weights",
    "probability_mse": "pixel",
    "prototype_matching": "prototypes",
    "prototype_similarity": "prototypes",
    "prototype_weights": "prototypes",
    "save_moments": "moments",
    "save_standardisation": "standardise",
    "signed_distance": "distance",
    "signed_distances": "distances",
    "soft_dice": "pixel",
    "standardisation": "standardise",
    "standardised_kl": "divergence",
    "surface_distance": "boundary",
    "teacher_classes": "prototypes",
    "token_cosine": "tokens",
    "token_cosine_smooth_l1": "tokens",
    "token_mse": "tokens",
    "token_smooth_l1": "tokens",
    "token_weights": "features",
    "uncertainty_weighting": "weighting",
}
__getattr__ = lazy_exports(__name__, _WHERE)
