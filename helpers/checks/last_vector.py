"""The checks of notebook 04_last_vector_constraint."""

import torch

from helpers.checks.verdicts import compare


def multiplications(student):
    """Exercise 04.1: what the encoder of one stream costs for one history."""

    def count_in_layer(T, d, queries, events=None):
        keys_and_values = 2 * (T if events is None else events) * d * d
        return keys_and_values + queries * (10 * d * d + 2 * T * d)

    def right(T, d, layers, carry):
        return (layers - 1) * count_in_layer(T, d, T) + count_in_layer(T, d, carry)

    def few_queries_everywhere(T, d, layers, carry):
        return layers * count_in_layer(T, d, carry)

    def all_queries(T, d, layers, carry):
        return layers * count_in_layer(T, d, T)

    def few_keys(T, d, layers, carry):
        return (layers - 1) * count_in_layer(T, d, T) + count_in_layer(T, d, carry, events=carry)

    def whole_feed_forward(T, d, layers, carry):
        return right(T, d, layers, carry) + 8 * (T - carry) * d * d

    cases = [(20, 32, 1, 1), (20, 32, 1, 20), (10, 16, 2, 4), (50, 64, 3, 1)]
    mistakes = {
        "Only the last layer may leave queries out: the layers before it "
        "feed its keys and values at every place.": few_queries_everywhere,
        "That lets the last layer compute every query; only `carry` of them go on.": all_queries,
        "The last layer still needs the keys and values of all events: "
        "its query reads them all.": few_keys,
        "The feed-forward works on the queries alone, not on every event.": whole_feed_forward,
    }
    compare(student, right, cases, mistakes)


def carried(student):
    """Exercise 04.2: encoded (S, B, T, d), known (B, S, T) -> (B, S * carry, d), (B, S * carry)."""

    def right(encoded, known, carry):
        states = encoded[:, :, -carry:].transpose(0, 1).flatten(1, 2)
        return states, known[:, :, -carry:].flatten(1)

    def first_vectors(encoded, known, carry):
        return right(encoded[:, :, :carry], known[:, :, :carry], carry)

    def streams_first(encoded, known, carry):
        S, B, T, d = encoded.shape
        states = encoded[:, :, -carry:].reshape(B, S * carry, d)
        return states, known[:, :, -carry:].flatten(1)

    def mask_uncut(encoded, known, carry):
        states, _ = right(encoded, known, carry)
        return states, known.flatten(1)

    def one_vector(encoded, known, carry):
        return right(encoded[:, :, [-carry]], known[:, :, [-carry]], 1)

    new = torch.Generator().manual_seed(0)

    def make_case(S, B, T, carry):
        encoded = torch.arange(S * B * T * 2.0).view(S, B, T, 2)
        return encoded, torch.rand(B, S, T, generator=new) < 0.5, carry

    cases = [make_case(2, 3, 4, 1), make_case(2, 3, 4, 2), make_case(3, 2, 5, 5)]
    mistakes = {
        "Those are the first vectors of each history; the origin stands at the end.": first_vectors,
        "The streams come first in `encoded`: "
        "bring the windows to the front before you flatten.": streams_first,
        "The vectors are right; the mask must be cut like them.": mask_uncut,
        "That is the one vector `carry` places from the end; "
        "all of the last ones go on.": one_vector,
    }
    compare(student, right, cases, mistakes)


def mean_state(student):
    """Exercise 04.3: the mean of encoded (S, B, T, d) where known (B, S, T) -> (B, S, d)."""

    def weigh(encoded, known):
        return encoded * known.transpose(0, 1)[..., None]

    def right(encoded, known):
        events = known.sum(-1, keepdim=True)  # (B, S, 1)
        return weigh(encoded, known).sum(2).transpose(0, 1) / events

    def with_padding(encoded, known):
        return encoded.mean(2).transpose(0, 1)

    def divided_by_all(encoded, known):
        return weigh(encoded, known).mean(2).transpose(0, 1)

    def streams_first(encoded, known):
        return right(encoded, known).transpose(0, 1)

    def last_vector(encoded, known):
        return encoded[:, :, -1].transpose(0, 1)

    encoded = torch.arange(2 * 2 * 3 * 2.0).view(2, 2, 3, 2) ** 1.5
    known = torch.tensor([[[0, 1, 1], [1, 1, 1]], [[0, 0, 1], [0, 1, 1]]], dtype=torch.bool)
    mistakes = {
        "Padded places are in your mean; they hold no event.": with_padding,
        "Padded places are left out of the sum "
        "but not of the number that it is divided by.": divided_by_all,
        "The shape: windows first, then streams.": streams_first,
        "That is the last vector, not the mean.": last_vector,
    }
    compare(student, right, [(encoded, torch.ones_like(known)), (encoded, known)], mistakes)


# The black boxes: functions of (T, d). A sentence with a case tells them by their names.


def the_last_vector(x):
    return x[-1].sum()


def the_last_two(x):
    return (x[-1] * x[-2]).sum()


def the_largest_of_all(x):
    return x.max(0).values


def the_smallest_of_all(x):
    return x.amin(0)


def one_rounded(x):
    return (x[1] / 4).round().sum()


def the_last_and_one_where_it_is_large(x):
    return torch.relu(x[0] - 5).sum() + x[3].sum()


READ = {  # which of four places
    the_last_vector: [3],
    the_last_two: [2, 3],
    the_largest_of_all: [0, 1, 2, 3],
    the_smallest_of_all: [0, 1, 2, 3],
    one_rounded: [1],
    the_last_and_one_where_it_is_large: [0, 3],
}


def make_box(function):
    """An object that shows a student nothing but its name, and answers as the function does."""
    return type(function.__name__, (), {"__call__": staticmethod(function)})()


def places_read(student):
    """Exercise 04.4: which of T places a function of encoded (T, d) reads."""

    def right(box, encoded):
        read = READ[box.__call__]
        return [place in read for place in range(len(encoded))]

    def by_gradient(box, encoded):
        encoded = encoded.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(box(encoded).sum(), encoded)
        return gradient.any(1)

    def by_one_change(box, encoded):
        changes = 100 * torch.eye(len(encoded))  # one place at a time
        before = box(encoded)
        return [not torch.equal(before, box(encoded + change[:, None])) for change in changes]

    encoded = torch.tensor([[0.1, 0.2], [0.3, -0.1], [0.5, 0.4], [0.2, 0.1]])
    mistakes = {
        "A minimum does not hear of what grows: "
        "draw the change several times, up and down.": by_one_change,
        "A gradient, or a little noise, does not get through a maximum, a rounding or a relu. "
        "Make the change large, and draw it several times.": by_gradient,
    }
    compare(student, right, [(make_box(box), encoded) for box in READ], mistakes)
