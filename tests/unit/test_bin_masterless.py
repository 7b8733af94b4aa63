"""
bin/_masterless.py: what is told of a question that salt-call did not answer.
"""

import _masterless
import pytest


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("[ERROR] x\nPassed invalid arguments: state is 'gone'.\n\nUsage:\n    all of it\n", "state is 'gone'."),
        ("Passed invalid arguments: limit is 0; 1 at least..\n\nUsage:\n", "limit is 0; 1 at least."),
        ("Error running 'sshtrail_trail.session': There is no session 'x'.\n", "There is no session 'x'."),
        ("Traceback\n  something else\n", "Traceback\n  something else"),
    ],
)
def test_one_sentence_is_told_alone(output, said):
    assert _masterless.said(output) == said
