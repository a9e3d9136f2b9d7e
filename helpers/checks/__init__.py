"""What an exercise calls to tell a student whether it works: one function an exercise.

There is one module a notebook; `verdicts` and `scores` are what they share. They hold the answers,
so read them last; in a hand-out they are `packed`. Every check prints one line, which begins with
"Not done yet", "Not yet" or "Right", and `checks.score()` which exercises are right so far. A check
looks like this:

    def largest(student):
        '''Exercise 01.6: the largest of some values.'''

        def right(values):
            return max(values)

        def smallest(values):
            return min(values)

        cases = [[3, 5, 4], [-1, -2], [7]]
        compare(student, right, cases, {"That is the smallest.": smallest})

A case holds the argument of one call, or a tuple of several. An answer that is a value needs no
cases: `compare(student, 0.25, mistakes={"This is the sum; the mean is asked for.": 1.0})`.
A new check is named here, so that notebooks find it as `checks.largest`. The number of its exercise
stands in its docstring, and only there.
"""

from helpers.checks import packed as packed  # first: in a hand-out the others are found by it
from helpers.checks.category_losses import clustered_error, cross_entropy, leaking, mixture_gap
from helpers.checks.cross_attention import averaged, by_stream, may_look, what_is_read
from helpers.checks.data_prep import bins, mended, padded, steps_that_count, vocabulary_of
from helpers.checks.last_vector import carried, mean_state, multiplications, places_read
from helpers.checks.scores import recorded
from helpers.checks.scores import score as score
from helpers.checks.start_here import best_share, ceiling, equally_likely, next_event
from helpers.checks.stream_encoders import (
    fair_width,
    last_row,
    shown_by,
    stream_linear,
    weights_of,
)
from helpers.checks.training import (
    accumulated,
    chosen_rate,
    no_better_than_guessing,
    rest_of_epoch,
    weighted_loss,
)
from helpers.checks.training_report import (
    diagnose,
    epochs_needed,
    made_up_report,
    other_categories,
)
from helpers.checks.using_the_model import (
    average_precision,
    nucleus,
    place_among,
    score_samples,
    suffix_similarity,
)
from helpers.checks.your_own_log import (
    interval_holds,
    misread,
    order_one,
    unseen_share,
    worth_using,
)

__all__ = [
    # 00_start_here
    "ceiling",
    "equally_likely",
    "next_event",
    "best_share",
    # 01_data_prep
    "vocabulary_of",
    "bins",
    "padded",
    "steps_that_count",
    "mended",
    # 02_stream_encoders
    "weights_of",
    "shown_by",
    "fair_width",
    "stream_linear",
    "last_row",
    # 03_cross_attention
    "may_look",
    "by_stream",
    "averaged",
    "what_is_read",
    # 04_last_vector_constraint
    "carried",
    "places_read",
    "multiplications",
    "mean_state",
    # 05_training
    "weighted_loss",
    "no_better_than_guessing",
    "accumulated",
    "chosen_rate",
    "rest_of_epoch",
    # 06_category_losses
    "cross_entropy",
    "mixture_gap",
    "clustered_error",
    "leaking",
    # 07_reading_a_training_report
    "epochs_needed",
    "other_categories",
    "diagnose",
    "made_up_report",
    # 08_using_the_model
    "nucleus",
    "score_samples",
    "place_among",
    "suffix_similarity",
    "average_precision",
    # 09_your_own_log
    "order_one",
    "unseen_share",
    "interval_holds",
    "worth_using",
    "misread",
]

for name in __all__:
    globals()[name] = recorded(globals()[name])
