"""The checks of notebook 04_last_vector_constraint."""

from functools import partial

import torch

from helpers.checks.verdicts import compare


def carried(student):
    """Exercise 04.1: encoded (S, B, T, d), known (B, S, T) -> (B, S * carry, d), (B, S * carry)."""

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

    def one_place_short(encoded, known, carry):
        return right(encoded[:, :, :-1], known[:, :, :-1], carry)

    def places_first(encoded, known, carry):
        states, mask = encoded[:, :, -carry:], known[:, :, -carry:]
        return states.permute(1, 2, 0, 3).flatten(1, 2), mask.transpose(1, 2).flatten(1)

    def states_places_first(encoded, known, carry):
        return places_first(encoded, known, carry)[0], right(encoded, known, carry)[1]

    def mask_places_first(encoded, known, carry):
        return right(encoded, known, carry)[0], places_first(encoded, known, carry)[1]

    def mask_turned(encoded, known, carry):
        return right(encoded, known, carry)[0], known[:, :, -carry:].transpose(0, 1).flatten(1)

    def mask_reshaped(encoded, known, carry):
        states, mask = right(encoded, known, carry)
        return states, known[:, :, -carry:].transpose(0, 1).reshape(mask.shape)

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
        "The origin itself is cut off; `-carry:` goes to the very end.": one_place_short,
        "Places come before streams in both: "
        "the states of one stream stand together, and their mask like them.": places_first,
        "Places come before streams in your states; "
        "the states of one stream stand together.": states_places_first,
        "The states are right, but places come before streams in the mask.": mask_places_first,
        "The states are right. `known` has its windows in front already; "
        "its axes need no change.": mask_turned,
        "The states are right. The mask has the right shape and the wrong order: "
        "`known` has its windows in front already.": mask_reshaped,
    }
    compare(student, right, cases, mistakes)


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


_READ = {  # which of four places
    the_last_vector: [3],
    the_last_two: [2, 3],
    one_rounded: [1],  # before the maximum, where a gradient errs as a change that falls does
    the_largest_of_all: [0, 1, 2, 3],
    the_smallest_of_all: [0, 1, 2, 3],
    the_last_and_one_where_it_is_large: [0, 3],
}


def make_box(function):
    """An object that shows a student nothing but its name, and answers as the function does."""
    return type(function.__name__, (), {"__call__": staticmethod(function)})()


def places_read(student):
    """Exercise 04.2: which of T places a function of encoded (T, d) reads."""

    def right(box, encoded):
        read = _READ[box.__call__]
        return [place in read for place in range(len(encoded))]

    def by_gradient(box, encoded):
        encoded = encoded.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(box(encoded).sum(), encoded)
        return gradient.any(1)

    def by_one_change(box, encoded, size=100):
        changes = size * torch.eye(len(encoded))  # one place at a time
        before = box(encoded)
        return [not torch.equal(before, box(encoded + change[:, None])) for change in changes]

    def by_changes_that_stay(box, encoded):
        read = _READ[box.__call__]
        return [place >= min(read) for place in range(len(encoded))]

    def turned(box, encoded):
        return [not read for read in right(box, encoded)]

    def as_numbers(box, encoded):
        return _READ[box.__call__]

    encoded = torch.tensor([[0.1, 0.2], [0.3, -0.1], [0.5, 0.4], [0.2, 0.1]])
    mistakes = {
        "A minimum does not hear of what grows: "
        "draw the change several times, up and down.": by_one_change,
        "A maximum does not hear of what falls: "
        "draw the change several times, up and down.": partial(by_one_change, size=-100),
        "A gradient, or a little noise, does not get through a maximum, a rounding or a relu. "
        "Make the change large, and draw it several times.": by_gradient,
        "A change stays in your copy while the places after it are tried: "
        "begin each place with a fresh one.": by_changes_that_stay,
        "That is True where nothing is read.": turned,
        "Those are the numbers of the places; a truth value for each place is wanted.": as_numbers,
    }
    compare(student, right, [(make_box(box), encoded) for box in _READ], mistakes)


def multiplications(student):
    """Exercise 04.3: what the encoder of one stream costs for one history."""

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

    def one_query(T, d, layers, carry):
        return right(T, d, layers, 1)

    def one_layer_more(T, d, layers, carry):
        return right(T, d, layers + 1, carry)

    def last_alone(T, d, layers, carry):
        return right(T, d, 1, carry)

    cases = [(20, 32, 1, 1), (20, 32, 1, 20), (10, 16, 2, 4), (50, 64, 3, 1)]
    mistakes = {
        "Only the last layer may leave queries out: the layers before it "
        "feed its keys and values at every place.": few_queries_everywhere,
        "That lets the last layer compute every query; only `carry` of them go on.": all_queries,
        "The last layer still needs the keys and values of all events: "
        "its query reads them all.": few_keys,
        "The feed-forward works on the queries alone, not on every event.": whole_feed_forward,
        "That has one query in the last layer; `carry` of them go on.": one_query,
        "That is a layer too many: the last is one of `layers`.": one_layer_more,
        "That is the last layer alone; the layers before it cost, too.": last_alone,
    }
    compare(student, right, cases, mistakes)


def mean_state(student):
    """Exercise 04.4: the mean of encoded (S, B, T, d) where known (B, S, T) -> (B, S, d)."""

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

    def mask_turned(encoded, known):
        return right(encoded, known.transpose(0, 1))

    def not_divided(encoded, known):
        return weigh(encoded, known).sum(2).transpose(0, 1)

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
        "The mask's axes: `known` has its windows first, and `encoded` its streams.": mask_turned,
        "That is the sum; divide by the number of events.": not_divided,
    }
    compare(student, right, [(encoded, torch.ones_like(known)), (encoded, known)], mistakes)
