//! The belts of lanes: a planted Go copy, and its end.

use tpro_wire::go;

use super::*;
use crate::core::lane::{ANSWER, PAUSE};

/// The answer of a Go copy to a method that it does not have.
const WRONG_HANDLER: &[u8] = br#"{"error":"wrong handler","meta":{"from_service":"tpro","mq_id":0}}"#;

/// A leader that asks for the Go system.
fn careful() -> Leader {
    let settings = Settings { go: Some(Uid::v7(1, [8; 10])), ..settings() };
    let found =
        Found { seen: Snapshot::at(1), until: None, pending: Vec::new(), owed: Vec::new(), stuck: None };
    Leader::with(settings, found)
}

impl Leader {
    /// The questions for the Go system that were asked since the last call: their subjects, and the
    /// subjects for their answers.
    fn questions(&mut self) -> Vec<(String, String)> {
        let mut questions = Vec::new();
        self.others.retain(|action| match action {
            Action::Ask(Question::Go { subject, reply, .. }) => {
                questions.push((subject.clone(), reply.clone()));
                false
            }
            _ => true,
        });
        questions
    }

    /// The one question that was asked: the subject for its answer.
    fn question(&mut self) -> String {
        let mut questions = self.questions();
        assert_eq!(questions.len(), 1, "{questions:?}");
        let (subject, reply) = questions.remove(0);
        assert_eq!(subject, "jsonrpc://tpro.co.tpro.probe");
        reply
    }

    fn hears(&mut self, subject: &str, status: Option<u16>, payload: &[u8]) {
        self.tell(Input::Reply(Incoming { subject, status, headers: &(), payload }));
    }

    /// Hands out the rows that the next fetch asks for.
    fn fetches(&mut self) {
        let Statement::Fetch { asked, .. } = self.take("Fetch") else { unreachable!() };
        let rows = asked.iter().map(|(_, waiting)| row(waiting.id(), 15)).collect();
        self.tell(Input::Done(Done::Fetched { asked, rows, gone: Vec::new() }));
    }

    fn sent(&self) -> usize {
        self.sent.len()
    }
}

#[test]
fn the_first_rows_wait_until_nats_knows_nobody_of_the_go_system_and_later_ones_do_not() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15), row(2, 15)]);
    let reply = leader.question();
    assert_eq!((leader.sent(), leader.core.lanes.waiting()), (0, 2), "they wait as ids");
    leader.hears(&reply, Some(503), b"");
    leader.fetches();
    assert_eq!((leader.sent(), leader.core.lanes.waiting()), (2, 0));
    leader.pass(Duration::from_millis(20));
    leader.reads(vec![row(3, 15)]);
    assert_eq!((leader.sent(), leader.questions()), (3, Vec::new()));
    assert!(leader.shown().is_empty(), "there is nothing to say");
}

#[test]
fn nothing_is_sent_to_a_go_copy_until_it_is_gone() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    let reply = leader.question();
    leader.hears(&reply, None, WRONG_HANDLER);
    let go = Notice::Go(vec!["tpro.co".to_owned()]);
    assert_eq!(leader.shown(), [&go]);
    for _ in 0..3 {
        leader.pass(PAUSE);
        let reply = leader.question();
        leader.hears(&reply, None, WRONG_HANDLER);
    }
    assert_eq!((leader.sent(), leader.core.lanes.waiting(), leader.shown().len()), (0, 1, 1));
    // Its budget does not run: the message is as it was.
    leader.pass(PAUSE);
    let reply = leader.question();
    leader.hears(&reply, Some(503), b"");
    assert_eq!(leader.shown(), [&go, &Notice::Go(Vec::new())]);
    leader.fetches();
    let first = leader.sent[0];
    assert_eq!((leader.sent(), first.number), (1, 1));
    leader.answers(first);
    assert_eq!(leader.settles(), [(1, Status::Ok)]);
}

#[test]
fn messages_to_other_services_pass_one_of_the_go_system() {
    let mut leader = careful();
    let mut other = row(2, 15);
    other.lane = "tpro.analytic".into();
    if let Content::Whole(published) = &mut other.content {
        published.target = Target::new("tpro", "analytic", "example", "x").expect("is a target");
    }
    leader.reads(vec![row(1, 15), other]);
    let questions = leader.questions();
    assert_eq!(questions.len(), 2);
    for (subject, reply) in questions {
        match subject.contains(".co.") {
            true => leader.hears(&reply, None, WRONG_HANDLER),
            false => leader.hears(&reply, Some(503), b""),
        }
    }
    let Statement::Fetch { asked, .. } = leader.take("Fetch") else { unreachable!() };
    assert_eq!(asked.iter().map(|(_, waiting)| waiting.id()).collect::<Vec<_>>(), [2]);
}

#[test]
fn silence_is_no_go_copy_and_only_an_answer_of_one_is() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    let reply = leader.question();
    // A stream has taken it, and somebody else answers in a form of his own.
    leader.hears(&reply, None, br#"{"stream":"ALL","seq":1}"#);
    leader.hears(&reply, None, b"");
    assert!(leader.core.lanes.waiting() == 1 && leader.shown().is_empty());
    leader.pass(ANSWER);
    leader.fetches();
    assert_eq!(leader.sent(), 1);
    // A Go copy that was late is one all the same.
    leader.hears(&reply, None, WRONG_HANDLER);
    leader.pass(Duration::from_millis(1));
    leader.reads(vec![row(2, 15)]);
    assert_eq!((leader.sent(), leader.core.lanes.waiting()), (1, 1));
    // Nor is the first one sent again, though its reply is overdue, and its connection was lost.
    leader.pass(ATTEMPT_TIMEOUT);
    leader.tell(Input::Connection { up: true, number: 2 });
    assert_eq!(leader.sent(), 1);
    // When the copy is gone, it is.
    let (_, reply) = leader.questions().pop().expect("it asks again");
    leader.hears(&reply, Some(503), b"");
    leader.fetches();
    assert_eq!(leader.sent(), 2, "the one that waited");
    leader.pass(ATTEMPT_TIMEOUT);
    assert!(leader.sent() > 2, "the one that was sent before is sent again");
}

#[test]
fn an_answer_for_another_service_or_an_earlier_question_says_nothing() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    let first = leader.question();
    leader.hears(&first.replace(".co.", ".analytic."), Some(503), b"");
    leader.tell(Input::Connection { up: true, number: 2 });
    let second = leader.question();
    assert_ne!(first, second);
    leader.hears(&first, Some(503), b"");
    assert_eq!(leader.core.lanes.waiting(), 1);
    leader.hears(&second, Some(503), b"");
    leader.fetches();
    assert_eq!(leader.sent(), 1);
}

#[test]
fn while_nats_is_away_or_has_no_room_nobody_is_asked_and_nothing_is_taken_for_silence() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    leader.questions();
    leader.tell(Input::Connection { up: false, number: 1 });
    leader.pass(2 * ANSWER);
    leader.tell(Input::Connection { up: true, number: 2 });
    assert_eq!(leader.core.lanes.waiting(), 1);
    leader.question();
    let lane = leader.core.lanes.of("tpro.co", Priority::default());
    leader.tell(Input::NotAskedForGo(lane));
    assert!(leader.questions().is_empty(), "not at once");
    leader.pass(Duration::from_millis(20));
    leader.question();
    assert_eq!((leader.sent(), leader.core.lanes.waiting()), (0, 1));
}

#[test]
fn where_the_server_forbids_the_question_messages_are_sent_unasked() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    leader.questions();
    let subject = go::question("tpro.co");
    leader.tell(Input::Forbidden(&subject));
    leader.fetches();
    assert_eq!(leader.sent(), 1);
}

#[test]
fn a_leader_that_stops_leaves_what_waits_for_a_go_copy_to_the_next_one() {
    let mut leader = careful();
    leader.reads(vec![row(1, 15)]);
    let reply = leader.question();
    leader.hears(&reply, None, WRONG_HANDLER);
    leader.tell(Input::Stop);
    leader.take("LookBack");
    assert_eq!((leader.sent(), leader.unsettled()), (0, 1));
}
