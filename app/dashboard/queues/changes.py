"""What the page of queues changes: pauses, and the rules of a queue one by one."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from app.dashboard.ends import AT, end_of
from app.dashboard.forms import faults_of, read_form, text_of
from app.dashboard.queues.routes import Part
from app.dashboard.queues.rules import MOST_REASON, RULES, UNIT_CHOICES, RuleForm, reason_of
from app.dashboard.queues.views import PATH
from app.dashboard.site import changed, page, pages_router
from app.domain.errors import InvalidError, NotFoundError
from app.domain.principal import Scope
from app.domain.queue import Pause
from app.web.auth import requires
from app.web.deps import Acting, Caller, CoreServices
from app.web.params import check_queue

queue_changes = pages_router()

CHANGED: Final = "queues-changed"
"""The event at which the parts of the page that show queues ask for them again."""
MOST_NAME: Final = 255
_ADMIN: Final = [requires(Scope.ADMIN)]


@queue_changes.get(f"{PATH}/pause", dependencies=_ADMIN)
async def show_pause(request: Request, caller: Caller, services: CoreServices, queue: Part) -> Response:
    """Show the form that pauses a queue, or changes why and until when it is."""
    check_queue(caller, queue)
    rules = (await services.queues.get(caller.project_id, queue)).rules
    pause = rules.pause or Pause()
    # The end that it has stays, unless another one is chosen.
    end = {"for": "", "at": ""} if pause.until is None else {"for": AT, "at": pause.until.isoformat()}
    return _pause_form(request, queue, {"reason": pause.reason or "", **end}, {}, is_paused=rules.paused)


@queue_changes.post(f"{PATH}/pause", dependencies=_ADMIN)
async def pause(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Pause a queue, for a reason and until a time if they are given."""
    form = await read_form(request)
    name = _queue_of(form)
    check_queue(actor.principal, name)
    try:
        chosen = Pause(reason=reason_of(form), until=end_of(form))
    except InvalidError as error:
        fields = {field: text_of(form, field) for field in ("reason", "for", "at")}
        return _pause_form(request, name, fields, faults_of(error, *fields), status=422)
    await services.queues.set_paused(actor, name, chosen)
    return changed(request, f"Queue {name} is paused. Jobs that are held go on.", CHANGED)


@queue_changes.post(f"{PATH}/resume", dependencies=_ADMIN)
async def resume(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Resume a queue."""
    name = _queue_of(await read_form(request))
    check_queue(actor.principal, name)
    await services.queues.set_paused(actor, name, None)
    return changed(request, f"Queue {name} is resumed.", CHANGED)


@queue_changes.post(f"{PATH}/rules/{{rule}}", dependencies=_ADMIN)
async def set_rule(request: Request, actor: Acting, services: CoreServices, rule: str) -> Response:
    """Set one rule of a queue, and keep the others."""
    known = RULES.get(rule)
    if known is None:
        raise NotFoundError("There is no such rule.")
    form = await read_form(request)
    name = _queue_of(form)
    check_queue(actor.principal, name)
    before = (await services.queues.get(actor.principal.project_id, name)).rules
    fields = known.fields(before)
    try:
        after = known.read(form, before)
    except InvalidError as error:
        written = {field: text_of(form, field) for field in fields}
        return _rule_form(request, name, known, written, faults_of(error, *fields), status=422)
    view = (await services.queues.put(actor, name, after)).value
    text = known.sentence
    return changed(
        request,
        f"Queue {name}: {text[0].lower()}{text[1:]}",
        CHANGED,
        part=f"queues/{rule}.html",
        queue=name,
        fields=known.fields(view.rules),
        faults={},
        units=UNIT_CHOICES,
    )


def _queue_of(form: Mapping[str, list[str]]) -> str:
    """Return the queue that a form is about: as it is named, for a name may begin with a blank."""
    name = form.get("queue", [""])[-1]
    if not 1 <= len(name) <= MOST_NAME:
        raise InvalidError(f"The name of a queue has 1 to {MOST_NAME} characters.")
    return name


def _rule_form(
    request: Request, name: str, rule: RuleForm, fields: Mapping[str, str], faults: Mapping[str, str], *, status: int
) -> Response:
    return page(
        request, f"queues/{rule.name}.html", status, queue=name, fields=fields, faults=faults, units=UNIT_CHOICES
    )


def _pause_form(
    request: Request,
    name: str,
    fields: Mapping[str, str],
    faults: Mapping[str, str],
    *,
    status: int = 200,
    **state: Any,
) -> Response:
    state = {"is_paused": False, "most_reason": MOST_REASON} | state
    return page(request, "queues/pause.html", status, queue=name, fields=fields, faults=faults, **state)
