"""What the evolution does with each of its settings, seen in the children that it proposes."""

from collections import Counter

import pytest

from pipeline.search.algorithms import ALGORITHMS, propose
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.space import SearchSpace

SPACE = SearchSpace(6)
#: Accurate and dear, and cheap and less accurate: λ = 4 ranks the cheap one first, λ = 0 the accurate one.
DEAR, CHEAP = Individual((4.0,) * 6, 90.0, 14.0), Individual((0.25,) * 6, 80.0, 0.1)


def children(history, penalty=0.0, seed=0, space=SPACE, **settings):
    """What the generation after ``history`` would be."""
    how = ALGORITHMS["evolution"].Settings(**{"population": 12, "parents": 1, "mutation_rate": 0.0, **settings})
    return propose("evolution", space, how, history, seed, len(history), configured({"lambda": penalty}))


def changed(genome, parent):
    """Which genes of a child differ from its parent's."""
    return [gene for gene, (mine, theirs) in enumerate(zip(genome, parent, strict=True)) if mine != theirs]


@pytest.mark.parametrize(("penalty", "parent"), [(4.0, CHEAP), (0.0, DEAR)])
def test_the_penalty_decides_who_becomes_a_parent(penalty, parent):
    assert all(len(changed(child.genome, parent.genome)) == 1 for child in children([[DEAR, CHEAP]], penalty))


def test_parents_come_from_all_generations():
    best, later = Individual((2.0,) * 6, 95.0, 1.0), Individual((1.0,) * 6, 60.0, 1.0)
    for history in ([[best], [later]], [[later], [best]], [[best], [later], [later._replace(genome=(3.0,) * 6)]]):
        assert all(len(changed(child.genome, best.genome)) == 1 for child in children(history))


@pytest.mark.parametrize("parents", [1, 2, 3])
def test_as_many_parents_as_are_asked_for(parents):
    """Told by the genes of their children, where nothing mutates."""
    ranked = [Individual((ratio,) * 6, 90.0 - ratio, 1.0) for ratio in (0.25, 0.5, 1.0, 2.0)]
    made = children([ranked], parents=parents, population=40, crossover_rate=0.0)
    kin = {min((i.genome[0] for i in ranked), key=lambda r: len(changed(child.genome, (r,) * 6))) for child in made}
    assert kin == {0.25, 0.5, 1.0} if parents == 3 else kin == set((0.25, 0.5)[:parents])


def test_a_child_of_one_parent_differs_from_it_by_a_gene_though_no_gene_mutates():
    """Otherwise it would be its parent, which was seen, and any unseen genome would come in its place."""
    for seed in range(5):
        made = children([[DEAR]], seed=seed)
        assert {child.origin for child in made} == {"mutation"}
        assert all(len(changed(child.genome, DEAR.genome)) == 1 for child in made)
        assert len({child.genome for child in made}) == len(made) == 12


def test_a_gene_that_mutates_takes_any_ratio_and_any_gene_can():
    made = children([[Individual((1.0,) * 6, 90.0, 1.0)]], population=30)
    assert {ratio for child in made for ratio in child.genome} == set(SPACE.ratios)
    assert {gene for child in made for gene in changed(child.genome, (1.0,) * 6)} == set(range(6))


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0.0, 0.0), (0.3, 0.2, 0.3), (1.0, 0.75, 0.92)])
def test_as_many_genes_of_a_child_of_two_are_drawn_anew_as_the_rate_says(rate, least, most):
    """A sixth of those that are drawn anew stay what they were, on average."""
    parents = [Individual((r,) * 100, 90.0, 1.0) for r in (1.0, 2.0)]
    settings = {"parents": 2, "crossover_rate": 1.0, "mutation_rate": rate}
    made = children([parents], space=SearchSpace(100, (1.0, 2.0, *range(3, 13))), **settings)
    assert {child.origin for child in made} == {"crossover"}
    new = [ratio not in (1.0, 2.0) for child in made for ratio in child.genome]
    assert least <= sum(new) / len(new) <= most


def test_crossover_takes_genes_from_both_at_even_odds_and_as_often_as_its_rate_says():
    parents = [Individual((r,) * 50, 90.0, 1.0) for r in (1.0, 2.0)]
    space = SearchSpace(50, (1.0, 2.0, *range(3, 21)))
    made = children([parents], space=space, parents=2, crossover_rate=1.0)
    genes = Counter(ratio for child in made for ratio in child.genome)
    assert 0.4 < genes[1.0] / genes.total() < 0.6
    often = Counter(c.origin for c in children([parents], space=space, parents=2, crossover_rate=0.8, population=200))
    assert 0.7 < often["crossover"] / often.total() < 0.9


def test_without_two_parents_there_is_no_crossover():
    assert {child.origin for child in children([[DEAR]], crossover_rate=1.0)} == {"mutation"}
