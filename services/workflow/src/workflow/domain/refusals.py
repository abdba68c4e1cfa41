"""What workflow refuses, each named for what is wrong."""

from chassis.decision import Forbidden, Refused, Unknown


class NoSuchRequest(Unknown):
    """No request with this id was opened here."""

    slug = "no-such-request"


class NotToBeSeen(NoSuchRequest):
    """The request is here and the actor may not see it: answered as one that is not here, which nobody waits for."""

    may_come = False


class NoSuchPerson(Unknown):
    """Nobody of the staff has this id."""

    slug = "no-such-person"


class NoSuchTeam(Unknown):
    """No team has this id."""

    slug = "no-such-team"


class NoSuchQueue(Unknown):
    """No queue of this name was drafted."""

    slug = "no-such-queue"


class NotYours(Forbidden):
    """Neither owner nor holder of the Owner role."""

    slug = "not-yours"


class SubmissionRejected(Refused):
    """The submission could not be opened, so nothing more can happen to it."""

    slug = "submission-rejected"


class AlreadyOpen(Refused):
    """The request was opened before."""

    slug = "already-open"


class AlreadyClosed(Refused):
    """The request is closed; reopen it first."""

    slug = "already-closed"


class NotClosed(Refused):
    """Only a closed request can be reopened."""

    slug = "not-closed"


class NotTheNextStage(Refused):
    """Stages are taken one at a time, in their order."""

    slug = "not-the-next-stage"


class LastStage(Refused):
    """Nothing but Closed comes after the last working stage: close the request."""

    slug = "last-stage"


class NoPreviousStage(Refused):
    """New has no stage before it."""

    slug = "no-previous-stage"


class NoSuchStage(Refused):
    """The request's queue has no such stage to go to."""

    slug = "no-such-stage"
    status = 422


class ReasonMissing(Refused):
    """A reason in words is needed."""

    slug = "reason-missing"
    status = 422


class TextMissing(Refused):
    """There is nothing but white space in it."""

    slug = "text-missing"
    status = 422


class FieldsMissing(Refused):
    """The stage may not be left before its mandatory fields have values."""

    slug = "fields-missing"


class NotInHistoryMode(Refused):
    """Only a request that is being moved in may jump stages or go live."""

    slug = "not-in-history-mode"


class ApprovalPending(Refused):
    """An approval of this request is still open, and there is never more than one."""

    slug = "approval-pending"


class NoSuchReason(Refused):
    """The queue knows no such reason to wait."""

    slug = "no-such-reason"
    status = 422


class AlreadyWaiting(Refused):
    """It waits for this reason already."""

    slug = "already-waiting"


class NotWaiting(Refused):
    """It does not wait."""

    slug = "not-waiting"


class NotInTheTeam(Forbidden):
    """Only members of the assigned team, or holders of the Owner role, may take a request over."""

    slug = "not-in-the-team"


class NobodyActive(Refused):
    """The person was switched off and can own nothing new."""

    slug = "person-inactive"
    status = 422


class NoSuchPriority(Refused):
    """The request's queue has no such priority."""

    slug = "no-such-priority"
    status = 422


class NoSuchOutcome(Refused):
    """A request closes as resolved, unresolved or cancelled."""

    slug = "no-such-outcome"
    status = 422


class TooEarlyToResolve(Refused):
    """Resolved only from the last working stage, unless the queue permits it earlier."""

    slug = "too-early-to-resolve"


class ReopenWindowPassed(Refused):
    """The queue's window for reopening is over, or it has none; submit a new request instead."""

    slug = "reopen-window-passed"


class BackdatedTooFar(Refused):
    """The effective time lies before the request's last change."""

    slug = "backdated-too-far"
    status = 422


class EffectiveInFuture(Refused):
    """The effective time has not come yet."""

    slug = "effective-in-future"
    status = 422


class NothingChanges(Refused):
    """The command names nothing to change."""

    slug = "nothing-changes"
    status = 422


class PersonExists(Refused):
    """The same was registered before and has changed since; give the person's id to set it anew."""

    slug = "person-exists"


class TeamExists(Refused):
    """A team was registered under this name before and is called otherwise now; give the new one an id."""

    slug = "team-exists"


class LoginTaken(Refused):
    """Another person signs in with this login."""

    slug = "login-taken"


class TeamNameTaken(Refused):
    """Another team has this name."""

    slug = "team-name-taken"


class NothingToPublish(Refused):
    """The queue has no draft."""

    slug = "nothing-to-publish"
