#!/usr/bin/env python3
"""The page of clients: what counts as a difference, and that the committed one is up to date."""

import pathlib
import unittest

import clients
import features
import report

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/clients.md"


def green_page(versions=None, **failures):
    """What a run writes in which all held but what is given as client=feature."""
    results = {(c.name, f.name): None for c in clients.CLIENTS for f in features.of(c)}
    results.update({pair: "broken" for pair in failures.items()})
    return report.render("Headrace", clients.CLIENTS, versions or {}, results)


class Page(unittest.TestCase):
    def test_committed_page_is_what_a_run_without_failures_writes(self):
        found = report.differences(PAGE.read_text(), green_page())
        self.assertEqual(found, [], "run `make interop`, which writes the page")

    def test_failure_is_a_difference_and_a_version_is_none(self):
        self.assertEqual(report.differences(green_page({"kcat": "1"}), green_page({"kcat": "2"})),
                         [])
        found = report.differences(green_page(), green_page(kcat="headers"))
        self.assertIn("\u2717", "\n".join(found))


if __name__ == "__main__":
    unittest.main()
