"""evaluate(): which report fits the test ratings and the model."""

from __future__ import annotations

from collections.abc import Sequence

from palate.answers.arguments import check_seed, check_whole
from palate.answers.ranking import By, RecommendOptions
from palate.data.ratings import Ratings
from palate.errors import DataError, OptionError
from palate.evaluation.matching import check_type
from palate.evaluation.predictions import Report, evaluate_predictions
from palate.evaluation.rankings import KS, RankingReport, check_ks, evaluate_rankings
from palate.evaluation.resampling import N_BOOTSTRAP
from palate.recommender import Recommender


def evaluate(
    recommender: Recommender,
    test: Ratings,
    *,
    k: int | Sequence[int] = KS,
    attribute: str | None = None,
    by: By = "mean",
    level: float = 0.9,
    at_least: float | None = None,
    baselines: bool = True,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
) -> Report | RankingReport:
    """A model on held-out ratings, with intervals, beside baselines fitted on the same data.

    Of ratings: RMSE, MAE, coverage and width of intervals, beside Mean and Bias. Of implicit ratings (likes, clicks,
    plays): every item that a user has not seen in training is ranked for him, and the measures say at several `k` how
    far up his held-out items stand, and what the lists are like, beside Popularity; formulas in palate.evaluation's
    metrics. attribute: a column of the item table, such as "genres", by which the lists' diversity counts too.

    by, level, at_least: what is judged of a model of stars, asked about likes (test.likes(at_least=4)): the lists that
    recommend() makes with the same options (and `seed`), without what each user rated in training. "mean", the default,
    are those by expected ratings: what a user would love among all there is, most of which he will never look at;
    "likely" are those of what he will choose and love. Popularity beside them knows only what was chosen.

    The ratings may have other vocabularies than the model; their unknown users and items count as cold. A model that
    knows of moments is asked for those of the test ratings; beside ratings of the same session in training, that is
    more than could have been foreseen (palate.split_time asks for that). Raises DataError without test ratings,
    OptionError for ratings and a model that ranks but predicts none, for a `test` that is no Ratings, for n_bootstrap
    or a k below 1, for a negative seed, and for a `by` that the model cannot rank by.

    >>> import palate
    >>> whole = palate.datasets.synthetic(60, 40, 1200, seed=1)
    >>> train, test = palate.split_random(whole, test=0.1, seed=0)
    >>> report = palate.evaluate(palate.Bayes(n_sweeps=30).fit(train), test)
    >>> report["rmse"] < report.baselines["Mean"]["rmse"].value
    True
    >>> train, test = palate.split_within_users(whole.likes(at_least=4), test=0.2, seed=0)
    >>> palate.evaluate(palate.ImplicitALS(n_factors=8).fit(train), test)["ndcg@10"] > 0.1
    True
    >>> train, test = palate.split_within_users(whole, test=0.2, seed=0)
    >>> lists = palate.evaluate(palate.Bayes(n_sweeps=30).fit(train), test.likes(at_least=4), by="likely", at_least=4)
    >>> lists.by
    'likely'
    """
    check_type("recommender", recommender, Recommender, "what a recipe's fit() or palate.load() returns")
    check_type("test", test, Ratings, "what palate.read() or a split returns")
    check_whole("n_bootstrap", n_bootstrap, least=1)
    check_seed(seed)
    ks = check_ks(k)
    if len(test) == 0:
        raise DataError("there are no test ratings to evaluate on.")
    if test.is_implicit:
        options = RecommendOptions(by=by, level=level, at_least=at_least, seed=seed)
        return evaluate_rankings(
            recommender,
            test,
            ks,
            attribute=attribute,
            baselines=baselines,
            n_bootstrap=n_bootstrap,
            seed=seed,
            options=options,
        )
    check_attribute(test, attribute)
    if (by, level, at_least) != ("mean", 0.9, None):
        raise OptionError(
            "by=, level= and at_least= are about recommended lists, and these ratings measure predictions: take "
            "test.likes(at_least=4)."
        )
    if not recommender.model.predicts_ratings:
        raise OptionError(
            f"{recommender!r} ranks items and predicts no ratings, so there is no error to measure: evaluate how it "
            "ranks what people liked, on test.likes(at_least=4)."
        )
    return evaluate_predictions(recommender, test, baselines=baselines, n_bootstrap=n_bootstrap, seed=seed)


def check_attribute(test: Ratings, attribute: str | None) -> None:
    """OptionError for an attribute where no lists are measured."""
    if attribute is not None and not test.is_implicit:
        raise OptionError(
            f"attribute={attribute!r} is about recommended lists, and these ratings measure predictions: take "
            "test.likes(at_least=4)."
        )
