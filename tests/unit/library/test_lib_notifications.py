"""§12.3, §12.4: state handlers made of functions, and notifiers that tell people."""

import base64
import pickle
import smtplib

import cloudpickle
import pytest
from receivers import MailServer, Webhook

import prefect
from prefect import Flow, task
from prefect.engine.state import Failed, Running, Success
from prefect.tasks.notifications import EmailTask, SlackTask
from prefect.utilities.notifications import (
    callback_factory,
    gmail_notifier,
    jira_notifier,
    slack_message_formatter,
    slack_notifier,
)


@pytest.fixture
def webhook():
    with Webhook() as receiver:
        yield receiver


@pytest.fixture
def mail():
    with MailServer() as receiver:
        yield receiver


@task
def step():
    return 1


def test_callbacks_are_called_on_demand():
    calls = []
    handler = callback_factory(lambda obj, state: calls.append((obj, state)), check=lambda state: state.is_failed())
    states = [Running(), Failed("x"), Success()]
    assert [handler(step, None, state) for state in states] == states
    assert calls == [(step, states[1])]
    truthy = callback_factory(lambda obj, state: calls.append(state), check=lambda state: "yes")
    truthy(step, None, states[0])
    assert len(calls) == 1, "only True counts"


def test_slack_hears_of_states(webhook):
    handler = slack_notifier(only_states=[Failed])(webhook_secret="HOOK")
    failing = task(lambda: 1 / 0, name="divide", state_handlers=[handler])
    with Flow("telling") as flow:
        failing()
    with prefect.context(secrets={"HOOK": webhook.url}):
        flow.run()
    ((_, _, body),) = webhook.received
    (attachment,) = body["attachments"]
    assert attachment == {
        "fallback": "State change notification",
        "color": "#eb0000",
        "author_name": "Prefect",
        "title": "Failed",
        "fields": [{"title": "Message", "value": "```ZeroDivisionError('division by zero')```", "short": False}],
        "text": "divide is now in a Failed state",
        "footer": "Prefect notification",
    }


def test_which_states_slack_hears_of(webhook):
    with prefect.context(secrets={"SLACK_WEBHOOK_URL": webhook.url}):
        new = Failed("no")
        assert slack_notifier(step, Running(), new) is new
        slack_notifier(step, None, new, ignore_states=[Failed])
        slack_notifier(step, None, Success(), only_states=[Failed])
        slack_notifier(ignore_states=[Running])(step, None, Success("fine"))
    told = [body["attachments"][0] for _, _, body in webhook.received]
    assert [(item["title"], item["fields"][0]["value"]) for item in told] == [("Failed", "no"), ("Success", "fine")]


def test_what_slack_refuses_fails_the_run(webhook):
    webhook.status = 403
    with prefect.context(secrets={"SLACK_WEBHOOK_URL": webhook.url}):
        with pytest.raises(ValueError, match=r"^Slack notification for <Task: step> failed$"):
            slack_notifier(step, None, Failed())
        with pytest.raises(ValueError, match=r"^Slack did not take the message: .* 403\."):
            SlackTask(message="x").run()
    with Webhook() as gone:
        url = gone.url
    with prefect.context(secrets={"SLACK_WEBHOOK_URL": url}), pytest.raises(OSError, match=r"sent to 127\.0\.0\.1: "):
        slack_notifier(step, None, Failed())
    with prefect.context(secrets={"SLACK_WEBHOOK_URL": "nonsense"}), pytest.raises(ValueError, match="is no http://"):
        slack_notifier(step, None, Failed())
    with pytest.raises(ValueError, match='Local Secret "SLACK_WEBHOOK_URL" was not found'):
        slack_notifier(step, None, Failed())


def test_notifiers_are_curried_and_travel():
    with pytest.raises(TypeError, match="only_state"):
        slack_notifier(only_state=[Failed])
    with pytest.raises(TypeError, match="too many positional"):
        slack_notifier(*range(9))
    copied = pickle.loads(cloudpickle.dumps(slack_notifier(only_states=[Failed])))
    running = Running()
    assert copied(step, None, running) is running
    assert slack_message_formatter(step, Failed())["attachments"][0]["fields"] == []


def test_gmail_hears_of_states(mail, monkeypatch):
    monkeypatch.setattr(smtplib, "SMTP_SSL", lambda host, port, **options: smtplib.SMTP("127.0.0.1", mail.port))
    with prefect.context(secrets={"EMAIL_USERNAME": "me@example.com", "EMAIL_PASSWORD": "12345"}):
        gmail_notifier(ignore_states=[Running])(step, None, Failed("no"))
        gmail_notifier(step, None, Running(), ignore_states=[Running])
    ((people, message),) = mail.received
    assert (people, mail.logins) == (["me@example.com"], [("me@example.com", "12345")])
    assert message["Subject"] == "Prefect state change notification for step"
    assert message.get_content().splitlines() == ["step is now in a Failed state", "", "no"]

    def refuse(*_, **__):
        raise smtplib.SMTPConnectError(421, "closed")

    monkeypatch.setattr(smtplib, "SMTP_SSL", refuse)
    with (
        prefect.context(secrets={"EMAIL_USERNAME": "me", "EMAIL_PASSWORD": "x"}),
        pytest.raises(ValueError, match=r"^Email notification for <Task: step> failed$"),
    ):
        gmail_notifier(step, None, Failed())


def test_jira_gets_an_issue(webhook):
    secret = {"JIRAUSER": "me", "JIRATOKEN": "token", "JIRASERVER": webhook.url}
    options = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}}
    with prefect.context(secrets={"JIRASECRETS": secret}):
        jira_notifier(only_states=[Failed], options=options, assignee="ann")(step, None, Failed("no"))
        webhook.status = 400
        with pytest.raises(ValueError, match=r"^Jira notification for <Task: step> failed$"):
            jira_notifier(step, None, Failed("no"))
    path, headers, body = webhook.received[0]
    assert path == "/hook/rest/api/2/issue"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:token").decode()
    text = "step is now in a Failed state"
    assert body == {"fields": {**options, "summary": text, "description": "no", "assignee": {"name": "ann"}}}


def test_a_task_posts_to_slack(webhook):
    with prefect.context(secrets={"OTHER": webhook.url}):
        SlackTask(message="hi", webhook_secret="OTHER").run()
        SlackTask().run(message={"text": "there"}, webhook_url=webhook.url)
        with pytest.raises(ValueError, match=r"^A message must be provided\.$"):
            SlackTask().run()
    assert [body for _, _, body in webhook.received] == [{"text": "hi"}, {"text": "there"}]


def test_a_task_sends_mail(mail, tmp_path):
    (tmp_path / "figures.csv").write_text("a,b\n")
    send = EmailTask(
        subject="Report",
        smtp_server="127.0.0.1",
        smtp_port=mail.port,
        smtp_type="INSECURE",
        email_from="us@example.com",
        attachments=[str(tmp_path / "figures.csv")],
    )
    send.run(
        msg="<b>hi</b>", msg_plain="hi", email_to="a@x.org, b@x.org", email_to_cc="c@x.org", email_to_bcc="d@x.org"
    )
    ((people, message),) = mail.received
    assert sorted(people) == ["a@x.org", "b@x.org", "c@x.org", "d@x.org"]
    assert (message["From"], message["Subject"], message["Bcc"]) == ("us@example.com", "Report", None)
    assert message.get_body(("plain",)).get_content().strip() == "hi"
    assert message.get_body(("html",)).get_content().strip() == "<b>hi</b>"
    assert [part.get_filename() for part in message.iter_attachments()] == ["figures.csv"]
    with pytest.raises(ValueError, match="Nobody to send the message to"):
        send.run()
    with (
        prefect.context(secrets={"EMAIL_USERNAME": "u", "EMAIL_PASSWORD": "p"}),
        pytest.raises(ValueError, match="The type of SMTP is 'TLS'; it must be"),
    ):
        send.run(email_to="a@x.org", smtp_type="TLS")
