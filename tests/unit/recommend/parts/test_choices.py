"""Choices by intents: the formula by a loop, what is held out, planted motives, and what came later."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cikg.recommend.data.intents import Links
from cikg.recommend.data.nodes import Pairs
from cikg.recommend.parts.choices import ChoiceModel, Choices

USERS, ITEMS, INTENTS = 60, 40, 7
CPU = torch.device("cpu")


def planted() -> tuple[Pairs, Links, Links]:
    """Item i satisfies the broad intent i mod 4 and one of three others by chance; user u chooses by u mod 4."""
    random = np.random.default_rng(1)
    chosen = [(u, int(i)) for u in range(USERS) for i in random.permutation(np.arange(u % 4, ITEMS, 4))[:5]]
    chosen += [(u, int(random.integers(ITEMS))) for u in range(USERS)]
    chosen = sorted(set(chosen))
    serves = sorted({(i, k) for i in range(ITEMS) for k in (i % 4, 4 + int(random.integers(3)))})
    has = [(u, u % 4, 1 + u % 2) for u in range(0, USERS, 2)]
    return (
        Pairs.of(*map(np.array, zip(*chosen, strict=True))),
        Links.of(*map(np.array, zip(*has, strict=True))),
        Links.of(*map(np.array, zip(*serves, strict=True)), np.ones(len(serves))),
    )


def learned(epochs: int) -> tuple[ChoiceModel, Pairs]:
    fit, has, serves = planted()
    torch.manual_seed(0)
    model = ChoiceModel(fit, has, serves, (USERS, ITEMS, INTENTS), CPU)
    with torch.no_grad():
        model.said.copy_(torch.tensor([0.4, -0.3]))
    optimiser, generator = torch.optim.Adam(model.parameters(), lr=0.03), torch.Generator().manual_seed(0)
    for _ in range(epochs):
        optimiser.zero_grad()
        model.loss(torch.arange(USERS), generator).backward()
        optimiser.step()
    return model, fit


def test_the_probability_is_the_formula_and_adds_up_to_one() -> None:
    model, fit = learned(3)
    _, has, serves = planted()
    found = model.choices().log_probability(torch.arange(USERS)).exp()
    torch.testing.assert_close(found.sum(1), torch.ones(USERS), atol=1e-5, rtol=0)
    with torch.no_grad():
        attraction, v, s = model.attraction.exp(), model.motive, model.said
        satisfies = torch.zeros(ITEMS, INTENTS)
        satisfies[serves.owner_index, serves.intent_index] = 1
        said = {
            (int(u), int(k)): float(s[int(r) - 1])
            for u, k, r in zip(has.owner_index, has.intent_index, has.round, strict=True)
        }
        for user in (0, 1, 7, 58):
            items = fit.item_index[fit.user_index == user]
            weight = []
            for intent in range(INTENTS):
                count = float(satisfies[items, intent].sum())
                weight.append(
                    count ** float(model.power) * np.exp(float(v[intent]) + said.get((user, intent), 0.0))
                    if count
                    else 0.0
                )
            aimless = float(model.aimless.exp()) * (1 + len(items))
            total = sum(weight) + aimless
            for item in (0, 13, 39):
                by_intent = sum(
                    weight[k] / total * float(attraction[item] / (attraction * satisfies[:, k]).sum())
                    for k in range(INTENTS)
                    if satisfies[item, k]
                )
                expected = by_intent + aimless / total * float(attraction[item] / attraction.sum())
                assert float(found[user, item]) == pytest.approx(expected, rel=1e-4)


def test_whoever_chooses_by_an_intent_is_found_out() -> None:
    """Each planted motive is the greatest of its user, and the noise of the other three intents is not."""
    choices = learned(60)[0].choices()
    for user in range(USERS):
        own = slice(int(choices.user_offsets[user]), int(choices.user_offsets[user + 1]))
        assert int(choices.motives[own][choices.shares[own].argmax()]) == user % 4
        assert float(choices.shares[own].max()) > 0.4


def test_what_is_held_out_shows_no_motive() -> None:
    fit = Pairs.of(np.array([0, 0]), np.array([0, 1]))
    has, serves = Links.of([0, 0], [0, 1], [1, 1]), Links.of([0, 1], [0, 1], [1, 1])
    model = ChoiceModel(fit, has, serves, (1, 2, 2), CPU)
    with torch.no_grad():
        model.said.fill_(5.0)
    row, item = torch.zeros(2, dtype=torch.int64), torch.tensor([0, 1])
    motives, background = model._motives(torch.tensor([0]), row, item, torch.tensor([True, False]))
    assert motives[0, 0] > 0
    assert motives[0, 1] == 0, "although the model said so: it had seen the choice"
    torch.testing.assert_close(motives.sum(1) + background, torch.ones(1))


def test_nobody_loses_a_gradient_where_everything_is_held_out_or_a_user_has_nothing() -> None:
    fit = Pairs.of(np.array([0]), np.array([0]))
    model = ChoiceModel(fit, Links.none(), Links.of([0], [0], [1]), (2, 2, 1), CPU)
    for seed in range(8):
        model.zero_grad()
        loss = model.loss(torch.arange(2), torch.Generator().manual_seed(seed))
        loss.backward()
        assert loss.isfinite()
        assert all(each.grad is None or each.grad.isfinite().all() for each in model.parameters())
    assert model.choices().log_probability(torch.arange(2)).isfinite().all()


def test_what_was_known_keeps_its_probabilities_and_new_items_have_those_of_their_intents() -> None:
    before = learned(30)[0].choices()
    users, items = torch.tensor([-1, *range(USERS)]), torch.tensor([*range(ITEMS), -1, -1])
    pool = torch.tensor([6, 5, 4, 3, 2, 1, 0, -1])  # turned round, and one more
    _, _, serves = planted()
    owner = np.append(serves.owner_index, [ITEMS, ITEMS + 1])
    intent = np.append(6 - serves.intent_index, [6 - 0, 7])
    after = before.carried_over(users, items, pool, Links.of(owner, intent, np.ones(len(owner))))
    found, kept = after.log_probability(torch.arange(USERS + 1)), before.log_probability(torch.arange(USERS))
    torch.testing.assert_close(found[1:, :ITEMS], kept)
    of_motive = 1 + torch.arange(0, USERS, 4)  # who chooses by the first intent, which the first new item satisfies
    assert (found[of_motive, ITEMS] > found[of_motive, ITEMS + 1]).all()
    again = Choices(**after.tensors()).log_probability(torch.arange(USERS + 1))
    torch.testing.assert_close(again, found)
