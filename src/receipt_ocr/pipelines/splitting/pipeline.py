"""Pages and words -> folds, and what shows that they are alike."""

from kedro.pipeline import Node, Pipeline

from receipt_ocr.pipelines.splitting import nodes


def create_pipeline() -> Pipeline:
    """The splitting stage."""
    splitting = ["pages", "words", "page_hashes", "params:splitting"]
    return Pipeline(
        [
            Node(nodes.hash_pages, ["raw_receipts", "pages"], "page_hashes", name="hash_pages"),
            Node(nodes.split_pages, splitting, "folds", name="split_pages"),
            Node(nodes.tabulate_balance, "folds", "fold_balance", name="tabulate_balance"),
            Node(nodes.plot_balance, "folds", "fold_balance_plot", name="plot_balance"),
        ],
        namespace="splitting",  # one box in Kedro-Viz
        prefix_datasets_with_namespace=False,
    )
