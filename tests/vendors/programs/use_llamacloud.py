"""LlamaCloud's own client, synchronous and asynchronous, lenient and strict, through a batch's whole life."""

import asyncio
import inspect
from typing import Any

import native
from llama_cloud import AsyncLlamaCloud, LlamaCloud, NotFoundError, UnprocessableEntityError

STRICT = (False, True)
RESULT = {"output_s3_path": "s3://out/1", "output_metadata": {"n": 1}}


async def settled(value: Any) -> Any:
    """A client's answer, whichever client it is."""
    return await value if inspect.isawaitable(value) else value


async def listed(pages: Any) -> list[Any]:
    """Every entry of all pages."""
    if hasattr(pages, "__aiter__") or inspect.isawaitable(pages):
        return [entry async for entry in pages]
    return list(pages)


async def life(client: Any, directory: str) -> None:
    batch = client.beta.batch
    job = await settled(
        batch.create(
            job_config={"job_name": "parse_raw_file_job", "parameters": {"lang": "en"}},
            item_ids=["file-1", "dir/file 2?", "file-3"],
            directory_id=directory,
        )
    )
    assert (job.status, job.job_type, job.total_items, job.directory_id) == ("pending", "parse", 3, directory)
    assert job.created_at.tzinfo is not None
    assert job.completed_at is None

    token = native.claim(job.id)
    assert (await settled(batch.get_status(job.id))).job.status == "dispatched"
    files = [
        {"key": "file-1", "status": "completed", "result": RESULT},
        {"key": "dir/file 2?", "status": "processing"},
    ]
    native.say(job.id, "report", token, items=files, progress=40)
    seen = await settled(batch.get_status(job.id))
    assert (seen.job.status, seen.progress_percentage) == ("running", 40.0)
    assert (seen.job.processed_items, seen.job.failed_items, seen.job.skipped_items) == (1, 0, 0)

    items = await listed(batch.job_items.list(job.id, limit=2))
    assert [(item.item_id, item.status) for item in items] == [
        ("file-1", "completed"),
        ("dir/file 2?", "processing"),
        ("file-3", "pending"),
    ]
    waiting = await listed(batch.job_items.list(job.id, status="pending", limit=1))
    assert [item.item_id for item in waiting] == ["file-3"]

    results = await settled(batch.job_items.get_processing_results("file-1"))
    assert results.processing_results[0].output_s3_path == "s3://out/1"
    assert results.processing_results[0].output_metadata == {"n": 1}
    assert (await settled(batch.job_items.get_processing_results("dir/file 2?"))).processing_results == []

    last = [{"key": "dir/file 2?", "status": "failed", "error_message": "torn"}, {"key": "file-3", "status": "skipped"}]
    native.say(job.id, "report", token, items=last)
    native.say(job.id, "complete", token)
    ended = await settled(batch.get_status(job.id))
    assert (ended.job.status, ended.job.failed_items, ended.progress_percentage) == ("completed", 1, 100.0)
    assert ended.job.completed_at >= ended.job.started_at >= ended.job.created_at

    again = await settled(batch.cancel(job.id, reason="too late"))
    assert (again.job_id, again.status, again.processed_items) == (job.id, "completed", 1)

    made = [await settled(batch.create(job_config=CLASSIFY, directory_id=directory)) for _ in range(3)]
    assert {one.job_type for one in made} == {"classify"}
    for _ in range(2):
        stopped = await settled(batch.cancel(made[0].id, reason="wrong directory"))
        assert stopped.status == "cancelled"
    native.fail(made[1].id, "no such directory")
    failed = await settled(batch.get_status(made[1].id))
    assert (failed.job.status, failed.job.error_message) == ("failed", "no such directory")

    newest = await listed(batch.list(directory_id=directory, limit=2))
    assert [one.id for one in newest] == [made[2].id, made[1].id, made[0].id, job.id]
    assert [one.id for one in await listed(batch.list(directory_id=directory, job_type="parse"))] == [job.id]
    assert [one.id for one in await listed(batch.list(directory_id=directory, status="cancelled"))] == [made[0].id]

    await refused(NotFoundError, batch.get_status, "bjb-00000000-0000-0000-0000-000000000000")
    await refused(UnprocessableEntityError, batch.create, job_config={})


async def refused(kind: type[Exception], call: Any, *args: Any, **kwargs: Any) -> None:
    try:
        await settled(call(*args, **kwargs))
    except kind as error:
        assert error.body["detail"]
    else:
        raise AssertionError(f"{kind.__name__} did not come")


CLASSIFY = {
    "id": "clj-1",
    "project_id": "proj-1",
    "user_id": "user-1",
    "status": "PENDING",
    "rules": [{"type": "invoice", "description": "It asks for money."}],
}


async def main() -> None:
    for strict in STRICT:
        options = {
            "api_key": native.API_KEY,
            "base_url": native.CLIENT_URL,
            "max_retries": 0,
            "_strict_response_validation": strict,
        }
        await life(LlamaCloud(**options), f"sync-{strict}")
        async with AsyncLlamaCloud(**options) as client:
            await life(client, f"async-{strict}")


asyncio.run(main())
