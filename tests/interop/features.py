"""The rows of the table, in their order: an id, a line for people, and the check."""

import dataclasses
import functools
import typing

import checks_admin
import checks_data
import checks_group
import checks_tools
import checks_txn
import raw


@dataclasses.dataclass
class Feature:
    """One row. `only` names the client that the row is about, None for all."""

    name: str
    title: str
    check: typing.Callable
    only: str = None


FEATURES = [
    *(Feature(f"codec-{name}", f"Produce and consume, {name} stored",
              functools.partial(checks_data.codec, name=name)) for name in raw.CODECS),
    Feature("reference-batches", "Reads the Java client's batches, all codecs",
            checks_data.reference_batches),
    Feature("sizes", "Values of 1 byte to 1,000,000 bytes", checks_data.sizes),
    Feature("large", "Values of 8 MiB, limits raised", checks_data.large),
    Feature("too-large", "Told when a value is above the limit", checks_data.too_large),
    Feature("headers", "Headers: repetition, bytes", checks_data.headers),
    Feature("header-order", "Headers: order among repeated names", checks_data.header_order),
    Feature("header-nulls", "Headers: null is not empty", checks_data.header_nulls),
    Feature("nulls", "Null keys and null values", checks_data.nulls),
    Feature("null-both", "A record with neither key nor value", checks_data.null_both),
    Feature("empties", "Empty keys and values are not null", checks_data.empties),
    Feature("timestamps", "Timestamps of the producer", checks_data.timestamps),
    Feature("log-append-time", "Timestamps of the broker", checks_data.log_append_time),
    Feature("idempotent", "Idempotent producer", checks_data.idempotent),
    Feature("txn-committed", "Transactions: committed is read, aborted is not",
            checks_txn.committed),
    Feature("txn-offsets", "Transactions: offsets count with the commit only",
            checks_txn.offsets),
    Feature("txn-fenced", "Transactions: the second producer fences the first",
            checks_txn.fenced),
    Feature("txn-timeout", "Transactions: aborted and fenced when out of time",
            checks_txn.timeout),
    Feature("group-eager", "Group of three loses and regains a member", checks_group.eager),
    Feature("group-cooperative", "The same, cooperative", checks_group.cooperative),
    Feature("group-static", "A static member returns to its partitions", checks_group.static),
    Feature("offsets-commit", "Commit and fetch offsets", checks_group.commit),
    Feature("offsets-reset", "Reset a group's offsets", checks_group.reset),
    Feature("offsets-list", "List offsets: earliest, latest, by time", checks_group.list_offsets),
    Feature("groups", "List and describe groups", checks_group.groups),
    Feature("group-delete", "Delete a group", checks_group.delete_group),
    Feature("metadata", "List topics and their partitions", checks_admin.metadata),
    Feature("topics", "Create and delete topics", checks_admin.topics),
    Feature("configs", "Describe and alter topic configs", checks_admin.configs),
    Feature("partitions", "Add partitions", checks_admin.partitions),
    *(Feature(f"tool-{name}", title, check, only="kafka-tools")
      for name, title, check in checks_tools.CHECKS),
    Feature("tool-transactions", "kafka-transactions: list, describe, find-hanging, abort",
            checks_txn.tool, only="kafka-tools"),
]

# What a client may lack besides rows, and what the checks do instead.
ABILITIES = {
    "partitions-chosen": "cannot choose a record's partition: the Java client writes the records "
                         "of the checks that need it",
    "transactions": "no transactional producer: the Java client writes what its checks read",
    "values-binary": "no binary keys and values: its checks use text",
    "headers-binary": "no binary header values: its checks use text",
}


def of(client):
    """The features of a client's column, lacking or not."""
    return [f for f in FEATURES if f.only in (None, client.name)]


def verify(clients):
    """A reason for lacking something that does not exist would hide a misspelt row."""
    known = {f.name for f in FEATURES} | set(ABILITIES)
    for client in clients:
        unknown = set(client.lacks) - known
        if unknown:
            raise SystemExit(f"{client.name} lacks unknown features: {sorted(unknown)}")
