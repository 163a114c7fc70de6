"""What a server does first with the state that an earlier process left."""

import dataclasses

from structlog.typing import FilteringBoundLogger

from tidewire.app.build import App
from tidewire.core.errors import StateError, Unavailable
from tidewire.engine.recovery import RecoveryReport


def take_over(app: App, *, log: FilteringBoundLogger) -> None:
    """Goes on where an earlier process stopped or crashed, and logs what of its state is there and what is not.

    Raises:
        StateError: the journal can't be written.
    """
    report = app.comeback
    _log(report, log)
    try:
        if report.anything:
            app.engine.begin(
                resumed=report.resumed,
                upgraded=report.upgraded,
                gave_way=report.gave_way,
                damaged=report.damaged,
                rights=app.authenticator.rights,
            )
            if report.queues:
                _announce_restart(app)
        _adopt_initial_map(app)
    except Unavailable as error:
        raise StateError(f"The server can't begin: {error.message}") from error
    if report.damage:
        # The next start is to find nothing of it any more.
        app.engine.begin_snapshot()
    if "users" in app.settings.auth.kind and not app.authenticator.users():
        log.warning("the users file has no users", file=str(app.settings.auth.users_file))


def _log(report: RecoveryReport, log: FilteringBoundLogger) -> None:
    for queue_id, error in report.skipped:
        log.error("queue not restored", queue_id=queue_id, error=error.message)
    for damage in report.damage:
        log.error("state damaged", **dataclasses.asdict(damage))
    if report.anything:
        log.info(
            "recovered",
            queues=report.queues,
            records=report.records,
            seconds=round(report.seconds, 3),
            crashed=report.resumed,
            upgraded=len(report.upgraded),
            gave_way=len(report.gave_way),
            failures=report.failures,
            damaged=len(report.damage),
            ended=len(report.damaged),
            lost_queues=report.lost_queues,
        )


def _announce_restart(app: App) -> None:
    """Tells the queues of an earlier process that the server is a new one (R1.23, R1.28)."""
    if app.site.restart is not None:
        app.engine.announce_restart(app.site.restart)
    if app.settings.compat.reload_web_clients:
        app.engine.reload_clients(immediate=False, count=None)


def _adopt_initial_map(app: App) -> None:
    context = app.site
    if context.relocation is None or context.peers is None:
        return
    given = context.peers.map
    problem = context.relocation.adopt_initial_map(given)
    if problem is not None:
        context.log.warning("the file's shard map is not used", version=given.version, problem=problem)
