"""Pages and words -> folds, and what shows that they are alike."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.splitting.nodes import (
    hash_pages,
    plot_balance,
    split_pages,
    tabulate_balance,
)


def create_pipeline(**kwargs: object) -> Pipeline:
    """The splitting stage."""
    splitting = ["pages", "words", "page_hashes", "params:splitting"]
    return Pipeline(
        [
            Node(hash_pages, ["raw_receipts", "pages"], "page_hashes", name="hash_pages"),
            Node(split_pages, splitting, "folds", name="split_pages"),
            Node(tabulate_balance, "folds", "fold_balance", name="tabulate_balance"),
            Node(plot_balance, "folds", "fold_balance_plot", name="plot_balance"),
        ],
        namespace="splitting",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
