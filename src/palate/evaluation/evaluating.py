"""evaluate(): measure a model on held-out ratings, with the report that fits the ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from palate.answers.ranking import By, RecommendOptions
from palate.answers.ranking.filters import are_lists
from palate.data.ratings import Ratings, with_positive_weights
from palate.distributed.exchange import Cluster, connected
from palate.errors import DataError, OptionError
from palate.evaluation.matching import check_type
from palate.evaluation.measured_lists import measure_lists
from palate.evaluation.measured_rows import measure_predictions
from palate.evaluation.next_items import NEXT_KS, NextItemReport, check_next_item, evaluate_next_items
from palate.evaluation.predictions import Report, report_on_predictions
from palate.evaluation.propensities import InversePropensities
from palate.evaluation.rankings import KS, RankingReport, check_ks, report_on_lists
from palate.evaluation.resampling import N_BOOTSTRAP
from palate.options import check_seed, check_whole
from palate.recommender import Recommender
from palate.showing.events import tell

AnyReport = TypeVar("AnyReport", Report, RankingReport, NextItemReport)


def evaluate(
    recommender: Recommender,
    test: Ratings,
    *,
    k: int | Sequence[int] | None = None,
    next_item: bool = False,
    attribute: str | None = None,
    by: By = "mean",
    level: float = 0.9,
    at_least: float | None = None,
    items: Any = None,
    where: Any = None,
    keep_seen: bool | None = None,
    max_per: Mapping[str, int] | None = None,
    diversity: float = 0.0,
    diversity_by: str | None = None,
    popularity: float = 0.0,
    calibrated: Any = None,
    boost: Any = None,
    propensity: Any = None,
    baselines: bool = True,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    on: Cluster | None = None,
) -> Report | RankingReport | NextItemReport:
    """Measure a model on held-out ratings, with bootstrap intervals, beside baselines fitted on the same data.

    Explicit ratings measure predictions: RMSE, MAE, and the coverage and width of intervals, beside Mean and Bias. A
    test rating of weight 2 counts as two.

    Implicit ratings measure recommended lists, beside Popularity. For each user the model ranks all items that the user
    has not seen in training. Accuracy metrics say how high the held-out items stand; other metrics say how diverse,
    novel and popular the lists are. Held-out items without any training choices are also ranked among each other
    ("cold_ndcg@k", "cold_recall@k"). RankingReport lists the measures. A model of explicit ratings can be measured in
    this way too, on test.likes(at_least=4).

    With next_item=True the report is on what users chose next. The test events of a user are taken in their order. Of
    each, the one item is ranked among all items, given everything that the user did before it: the training history and
    the earlier test events. So palate.split_last and palate.split_time are the splits for it. Means are over events. An
    item that nobody had in training is ranked by what the model knows of it. One that the model does not know at all is
    a miss. Where training and test ratings have times, the report also has the measures of the events that begin a
    session and of those within one. NextItemReport lists the measures.

    Users choose what they rate, so these measures hold for what users choose. With propensity=, the report also
    estimates them for pairs of a user and an item drawn at random: weighted means, self-normalised by the sum of their
    weights 1 / propensity (SNIPS), as "snips_rmse" and so on; of lists, "snips_recall@k" and "snips_dcg@k".

    The test is measured block by block: 2**18 ratings, or the lists of 2**14 users at a time. So memory goes with the
    number of users, and test may be Blocks, which stay on disk. Only next_item=True reads all of them.

    The test ratings may have other vocabularies than the model; users and items unknown to the model count as cold. A
    model with time effects predicts at the timestamps of the test ratings. It may then use training ratings of the
    same session, which would not have been available at prediction time; split with palate.split_time to avoid that.

    Parameters:
        recommender (Recommender): The trained model.
        test (Ratings): The held-out ratings; at least one.
        k (int or sequence of int or None, default None): List lengths to measure at, between 1 and 2**20; None: 5, 10,
            20 and 100, and with next_item=True 1, 5, 10 and 20.
        next_item (bool, default False): Measure how high each test event's item stands in the list made just before it.
            Only for implicit test ratings; keep_seen goes with it, and no other option of lists.
        attribute (str or None, default None): A column of the item table, such as "genres", by which the diversity of
            lists is measured too. Only for implicit test ratings.
        by (str, default "mean"): What lists are ranked by, as in Recommender.recommend: "mean" ranks by the expected
            rating, "likely" by the probability that the user chooses the item and likes it. Only for implicit test
            ratings.
        level (float, default 0.9): With by="lower", the level of the interval whose lower end lists are ranked by,
            between 0 and 1.
        at_least (float or None, default None): The rating to reach, with by="chance" or by="likely"; None with "likely"
            takes a rating above the mean.
        items (list, default None): Make lists of these items only; held-out items that are not among them are left out.
            Only for implicit test ratings.
        where (str or polars expression, default None): The same with a condition on the item table, as in
            Recommender.recommend.
        keep_seen (bool or None, default None): Make lists of seen items too, for data where users choose again. None:
            as the model says; only a Sequence that has found users to come back to items says yes.
        max_per (mapping, default None): Make lists with at most so many items of each value of a column, as in
            Recommender.recommend.
        diversity (float, default 0.0): Make lists with this dial, as in Recommender.recommend. With a dial or max_per
            the report also has the measures without (`without`) and what the dials change (`difference`). In the
            full ranking, which "auc" needs, all other items follow the longest list in the model's order.
        diversity_by (str or None, default None): The column that `diversity` goes by.
        popularity (float, default 0.0): Make lists with this dial.
        calibrated (str or mapping, default None): Make lists with this dial.
        boost (str, mapping or polars expression, default None): Make lists with this dial.
        propensity (array of numbers, "popularity" or None, default None): The probability that the user of each test
            rating chose its item, above 0, in the order of the test ratings; only proportions count. "popularity"
            estimates it by the item's number of training ratings, in ten strata. None: no weighted measures.
        baselines (bool, default True): Fit and measure the baselines too.
        n_bootstrap (int, default 1000): The number of bootstrap resamplings of users; 1 or more.
        seed (int, default 0): Seed of the bootstrap, and of by="thompson"; 0 or more.
        on (cluster, default None): Have the workers of a Ray cluster measure the blocks of the test, as
            palate.distributed.ray() names it; None: this process. The report is the same. Test Blocks must lie where
            all workers see them. Not with next_item.

    Returns:
        Report, RankingReport or NextItemReport: A Report for explicit test ratings, a RankingReport for implicit ones,
            a NextItemReport with next_item=True.

    Raises:
        DataError: There are no test ratings, or none of the held-out items is among those to rank.
        LabelTypeError: The labels of the test ratings have another type than those of the model.
        OptionError: An option is out of range, there is not one propensity for each test rating, the model cannot rank
            by `by`, or the ratings are explicit and the model predicts no ratings.
        ClusterError: No worker of the cluster starts, they are of other versions, or do not see the test.

    Source:
        Herlocker et al. (2004), Evaluating Collaborative Filtering Recommender Systems. The metrics at k are computed
        over all items, not over a sample: Krichene & Rendle (2020), On Sampled Metrics for Item Recommendation.
        Weighted measures: Schnabel et al. (2016), Recommendations as Treatments; of lists: Yang et al. (2018), Unbiased
        Offline Recommender Evaluation for Missing-Not-At-Random Implicit Feedback.

    Example:
        >>> import palate
        >>> ratings = palate.datasets.synthetic(60, 40, 1200, seed=1)
        >>> train, test = palate.split_random(ratings, test=0.1, seed=0)
        >>> report = palate.evaluate(palate.Bayes(n_sweeps=30).fit(train), test)
        >>> report["rmse"] < report.baselines["Mean"]["rmse"].value
        True
        >>> "snips_rmse" in palate.evaluate(palate.Bias().fit(train), test, propensity="popularity").measures
        True
        >>> train, test = palate.split_within_users(ratings.likes(at_least=4), test=0.2, seed=0)
        >>> palate.evaluate(palate.ImplicitALS(n_factors=8).fit(train), test)["ndcg@10"] > 0.1
        True
        >>> train, test = palate.split_last(ratings.likes(at_least=4))
        >>> report = palate.evaluate(palate.EASE().fit(train), test, next_item=True)
        >>> 0 < report["ndcg@10"] <= report["hit_rate@10"] < 1
        True
        >>> train, test = palate.split_within_users(ratings, test=0.2, seed=0)
        >>> rec = palate.Bayes(n_sweeps=30).fit(train)
        >>> palate.evaluate(rec, test.likes(at_least=4), by="likely", at_least=4).by
        'likely'
    """
    lists: dict[str, Any] = {
        "items": items, "where": where, "max_per": max_per, "by": by, "level": level, "at_least": at_least,
        "diversity": diversity, "diversity_by": diversity_by, "popularity": popularity, "calibrated": calibrated,
        "boost": boost,
    }  # fmt: skip
    check_type("recommender", recommender, Recommender, "as a recipe's fit() or palate.load() returns")
    check_type("test", test, Ratings, "as palate.read() or a split returns")
    check_whole(1, n_bootstrap=n_bootstrap)
    check_seed(seed)
    ks = ks_of(k, next_item=next_item)
    inverse = InversePropensities.of(recommender, test, propensity)
    if inverse is not None and test.weights is not None:
        inverse = inverse.of_rows(test.weights > 0)
    test = with_positive_weights(test)
    if len(test) == 0:
        raise DataError("there are no test ratings (of a weight above 0) to evaluate on.")
    shared: dict[str, Any] = {"baselines": baselines, "n_bootstrap": n_bootstrap, "seed": seed}
    if next_item:
        check_next_item(test, recommender, **_given(lists | {"attribute": attribute, "propensity": propensity}))
        if on is not None:
            raise OptionError("on= does not go with next_item=True: leave it out.")
        return told(evaluate_next_items(recommender, test, ks, keep_seen=keep_seen, **shared))
    if test.is_implicit:
        if are_lists(items):
            raise OptionError("items= is one list here, the same for all users.")
        options = RecommendOptions(keep_seen=keep_seen, seed=seed, **lists)
        shared |= {"attribute": attribute, "options": options, "inverse": inverse}
        with connected(on) as workers:
            return told(report_on_lists(measure_lists(recommender, test, ks, **shared, on=workers)))
    check_attribute(test, attribute)
    if keep_seen or _given(lists):
        raise OptionError(
            "by=, level=, at_least=, items=, where=, keep_seen=, max_per= and the dials (diversity=, popularity=, "
            "calibrated=, boost=) apply to recommended lists, and explicit ratings measure predictions: take "
            "test.likes(at_least=4)."
        )
    if not recommender.model.predicts_ratings:
        raise OptionError(
            f"{recommender!r} ranks items and predicts no ratings, so there is no error to measure: evaluate its "
            "lists, on test.likes(at_least=4)."
        )
    with connected(on) as workers:
        return told(
            report_on_predictions(measure_predictions(recommender, test, inverse=inverse, **shared, on=workers))
        )


def told(report: AnyReport) -> AnyReport:
    """Log the measures, and return the report."""
    measures = {name: measure.value for name, measure in report.measures.items()}
    tell("evaluated", "the model is measured", n=report.n, users=report.n_users, measures=measures)
    return report


def ks_of(k: Any, *, next_item: bool) -> tuple[int, ...]:
    """Return the list lengths to measure at, in ascending order; raise OptionError for values that are none."""
    return check_ks(k if k is not None else NEXT_KS if next_item else KS)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not at their defaults."""
    usual = {"by": "mean", "level": 0.9, "diversity": 0.0, "popularity": 0.0, "max_per": {}}
    given = {name: value for name, value in options.items() if value is not None}
    return {name: value for name, value in given.items() if name not in usual or value != usual[name]}


def check_attribute(test: Ratings, attribute: str | None) -> None:
    """Raise OptionError if an attribute is given and the test ratings are explicit."""
    if attribute is not None and not test.is_implicit:
        raise OptionError(
            f"attribute={attribute!r} applies to recommended lists, and explicit ratings measure predictions: take "
            "test.likes(at_least=4)."
        )
