"""Jobs that are larger than an answer, stored before there was a bound."""

from app.domain.answers import EVERYTHING, MAX_ANSWER_BYTES
from app.domain.job_filter import JobFilter
from app.web.deps import Services
from tests.calls import PROJECT, claim, create


async def test_job_larger_than_an_answer_is_read_listed_and_claimed(core: Services) -> None:
    payload = "x" * (MAX_ANSWER_BYTES + 1)
    small = await create(core, payload="before")
    large = await create(core, payload=payload)
    for order in ([large.id, small.id], [small.id, large.id]):
        found = await core.jobs.get_with_documents(PROJECT, order, EVERYTHING)
        assert [found[job_id].documents is None for job_id in order] == [False, True]
    page = await core.lists.page(PROJECT, JobFilter(), include=EVERYTHING)
    assert ([job.id for job in page.jobs], page.next_before) == ([large.id], large.id)
    assert page.jobs[0].documents
    assert page.jobs[0].documents.payload == payload
    assert (await core.jobs.get(PROJECT, large.id, documents=True)).documents == page.jobs[0].documents
    assert (await claim(core)).job.id == small.id
    claimed = await claim(core)
    assert claimed.job.documents
    assert (claimed.job.id, claimed.job.documents.payload) == (large.id, payload)
