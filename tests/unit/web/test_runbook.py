"""The runbook in the pages: a section a code, whose links lead to other sections and nowhere else."""

import re

import pytest

from app.web.runbook import read_runbook, section_of


@pytest.mark.parametrize("code", read_runbook())
def test_links_of_a_section_lead_to_sections(code):
    """Other documents are named, and nothing of Markdown is left over."""
    text = section_of(code)

    assert set(re.findall('href="([^"]*)"', text)) <= set(read_runbook())
    assert "](" not in text
    assert text.startswith("<p>")


@pytest.mark.parametrize("code", read_runbook())
def test_each_step_of_a_section_is_a_line(code):
    """What is to be done in turn is seen so, and what stands after the steps is none of them."""
    for step in re.findall("<li>(.*?)</li>", section_of(code), re.DOTALL):
        assert not re.search(r" \d\. ", step)
        assert "\n" not in step.strip()


def test_documents_are_named_where_their_link_was():
    """Whoever reads at night finds them on disk or in the repository."""
    assert "list of routes (<code>docs/api.md</code>)" in section_of("not-found")
    assert "(<code>docs/settings.md</code>)" in section_of("run-interrupted")
    assert "(how: <code>docs/settings.md</code>)" in section_of("connection-failed")
    assert '<a href="journal-damaged">journal is damaged</a>' in section_of("run-interrupted")
