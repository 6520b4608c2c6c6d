//! A message on paper.

use crate::message::{Json, Message, Published, Reply};
use crate::paper::Paper;
use crate::run::Run;
use crate::time::age;

impl Message {
    /// For a person.
    pub fn write(&self, paper: &mut Paper) {
        let line = &self.line;
        field(paper, "message", &format!("{} of {}", line.id, line.sender));
        field(paper, "target", &line.target);
        field(paper, "status", &line.status);
        field(paper, "published", &format!("{}, {} ago", line.created_at, age(line.age_seconds)));
        field(
            paper,
            "attempts",
            &line.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string()),
        );
        field(paper, "trace", self.trace_url.as_deref().unwrap_or(&line.trace_id));
        if let Some(published) = &self.published {
            published.write(paper);
        }
        for run in &self.runs {
            run.write(paper);
        }
        if let Some(reply) = &self.reply {
            reply.write(paper);
        }
        if let Some(hidden) = &self.hidden {
            field(paper, "hidden", hidden);
        }
    }
}

impl Published {
    fn write(&self, paper: &mut Paper) {
        if let Some(uid) = &self.uid {
            field(paper, "uid", uid);
        }
        if let Some(time) = self.send_at {
            field(paper, "send at", &time.to_string());
        }
        field(paper, "protocol", &self.protocol);
        let timeout = if self.timeout_seconds == 0 {
            "0: an event".to_owned()
        } else {
            format!("{}s", self.timeout_seconds)
        };
        field(paper, "timeout", &timeout);
        if let Some(expires) = self.expires_at {
            field(paper, "expires", &expires.to_string());
        }
        if self.priority != 0 {
            field(paper, "priority", &self.priority.to_string());
        }
        for (name, text) in [("ordering key", &self.ordering_key), ("on reply", &self.on_reply)] {
            if let Some(text) = text {
                field(paper, name, text);
            }
        }
        if let Some(id) = self.retry_of {
            field(paper, "retry of", &id.to_string());
        }
        if self.direct {
            field(paper, "direct", "the service called by itself, and only keeps the journal here");
        }
        json(paper, "headers", Some(&self.headers));
        json(paper, "body", Some(&self.body));
    }
}

impl Run {
    fn write(&self, paper: &mut Paper) {
        let outcome = match self.outcome_at {
            Some(at) => format!("outcome at {at}"),
            None => format!("no outcome; its copy stops at {}", self.deadline),
        };
        field(
            paper,
            &format!("run {}", self.run),
            &format!("accepted at {} by attempt {}, {outcome}", self.accepted_at, self.attempt),
        );
    }
}

impl Reply {
    fn write(&self, paper: &mut Paper) {
        if let Some(sent) = self.sent_at {
            field(paper, "sent", &sent.to_string());
        }
        if let Some(replied) = self.replied_at {
            field(paper, "settled", &replied.to_string());
        }
        if let Some(responder) = &self.responder {
            field(paper, "responder", responder);
        }
        json(paper, "reply headers", self.headers.as_ref());
        json(paper, "result", self.result.as_ref());
        json(paper, "error", self.error.as_ref());
    }
}

fn field(paper: &mut Paper, name: &str, text: &str) {
    paper.line(&format!("{name:<13} {text}"));
}

fn json(paper: &mut Paper, name: &str, json: Option<&Json>) {
    let Some(json) = json else { return };
    // PostgreSQL writes what is empty on two lines.
    let text = json.get().replace("{\n}", "{}").replace("[\n]", "[]");
    let mut lines = text.lines();
    field(paper, name, lines.next().unwrap_or_default());
    for line in lines {
        field(paper, "", line);
    }
}
