//! What the protocols rely on, on the server as a whole.

use std::time::Duration;

use super::{
    Answer::{Count, Done, Flag, Identity, Ids, Maybe, Number, Outcomes, RolledBack, Uids},
    *,
};
use crate::{random::Random, time::Time};

const MAIN: Service = Service(0);

/// A server with one service, and sessions that do one thing after the other.
struct Bench {
    server: Server,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        Self { server: Server::new(&["main"]), now: Time::START }
    }

    fn connect(&mut self) -> SessionId {
        self.server.connect(self.now)
    }

    /// Runs a statement that must not wait.
    fn run(&mut self, session: SessionId, statement: Statement) -> Result<Answer, SqlState> {
        match self.server.execute(session, statement.clone(), self.now) {
            Step::Done(result) => result,
            Step::Waits => panic!("{statement:?} waits"),
        }
    }

    /// Begins a statement that must wait.
    fn waits(&mut self, session: SessionId, statement: Statement) {
        let step = self.server.execute(session, statement.clone(), self.now);
        assert_eq!(step, Step::Waits, "{statement:?}");
        assert_eq!(self.server.ready(self.now), []);
    }

    fn resume(&mut self, session: SessionId) -> Step {
        self.server.resume(session, self.now)
    }

    fn publish(&mut self, session: SessionId, messages: usize) -> Vec<i64> {
        match self.run(session, Statement::Publish(MAIN, vec![NewMessage::default(); messages])) {
            Ok(Ids(ids)) => ids,
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self, session: SessionId, window: Window) -> (Snapshot, Vec<(Xid, i64)>) {
        match self.run(session, Statement::Read(MAIN, window)) {
            Ok(Answer::Page(Page { cur: Some(cur), rows })) => {
                (cur, rows.into_iter().map(|(message, _)| (message.tx, message.id)).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn channels(&mut self, session: SessionId) -> Vec<String> {
        self.server.take_notes(session).into_iter().map(|note| note.channel.to_string()).collect()
    }
}

fn window(seen: Snapshot) -> Window {
    Window {
        seen,
        until: None,
        after: Default::default(),
        rows: 3,
        closed: Some(Vec::new()),
        first: i64::MIN,
    }
}

fn reply(mq_id: i64, status: &str) -> Reply {
    Reply { mq_id, uid: 1, status: status.into(), ..Reply::default() }
}

fn taking(uid: u128, run: i32) -> Taking {
    let budget = Duration::from_secs(10);
    Taking { uid, run, source: None, target: "t".into(), attempt: 1, budget, proof: None }
}

#[test]
fn every_committed_row_is_read_once_in_whatever_order_commits_become_visible() {
    for seed in 0..60 {
        let (mut bench, mut random) = (Bench::new(), Random::new(seed));
        bench.server.pause_commits(true);
        let writers: Vec<SessionId> = (0..5).map(|_| bench.connect()).collect();
        let reader = bench.connect();
        let (mut committed, mut read) = (Vec::new(), Vec::new());
        let mut hands = vec![Vec::new(); writers.len()];
        let mut at = window(bench.server.snapshot());
        for step in 0..400 {
            let who = random.below(5) as usize;
            let writer = writers[who];
            let over = step > 340;
            if bench.server.is_waiting(writer) {
                if let Step::Done(result) = bench.resume(writer) {
                    assert_eq!(result, Ok(Done));
                    committed.append(&mut hands[who]);
                }
            } else if !bench.server.is_in_transaction(writer) {
                if !over {
                    bench.run(writer, Statement::Begin).expect("begins");
                    hands[who] = bench.publish(writer, 1 + random.below(3) as usize);
                }
            } else if random.one_in(4) {
                bench.run(writer, Statement::Rollback).expect("rolls back");
            } else if random.one_in(2) || over {
                let _ = bench.server.execute(writer, Statement::Commit, bench.now);
            }
            if random.one_in(3) {
                let (cur, rows) = bench.read(reader, at.clone());
                match rows.last() {
                    Some(last) if rows.len() == 3 => {
                        at.until.get_or_insert(cur);
                        at.after = *last;
                    }
                    _ => at = window(at.until.take().unwrap_or(cur)),
                }
                read.extend(rows.into_iter().map(|(_, id)| id));
            }
        }
        for writer in &writers {
            while bench.server.is_waiting(*writer) {
                bench.resume(*writer);
            }
            bench.server.terminate(*writer);
        }
        for _ in 0..200 {
            let (cur, rows) = bench.read(reader, at.clone());
            match rows.last() {
                Some(last) if rows.len() == 3 => {
                    at.until.get_or_insert(cur);
                    at.after = *last;
                }
                _ => at = window(at.until.take().unwrap_or(cur)),
            }
            read.extend(rows.into_iter().map(|(_, id)| id));
        }
        let rows = bench.server.rows(MAIN, Table::Publish);
        let mut there: Vec<i64> = rows
            .iter()
            .map(|row| match row {
                Row::Publish(message) => message.id,
                other => panic!("{other:?}"),
            })
            .collect();
        there.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, there, "seed {seed}");
        assert!(committed.iter().all(|id| there.contains(id)) && there.len() > 10, "seed {seed}");
    }
}

#[test]
fn a_second_reply_waits_for_the_first_and_loses_or_takes_its_place() {
    for (commits, mine) in [(true, Err(SqlState::UNIQUE)), (false, Ok(Count(1)))] {
        let mut bench = Bench::new();
        let (first, second) = (bench.connect(), bench.connect());
        bench.run(first, Statement::Begin).expect("begins");
        bench.run(first, Statement::Settle(MAIN, vec![reply(7, "first")], 0)).expect("settles");
        bench.waits(second, Statement::Settle(MAIN, vec![reply(7, "second")], 0));
        let end = if commits { Statement::Commit } else { Statement::Rollback };
        bench.run(first, end).expect("ends");
        assert_eq!(bench.server.ready(bench.now), [second]);
        assert_eq!(bench.resume(second), Step::Done(mine.clone()));
        let mut there = bench.server.rows(MAIN, Table::Reply);
        let status = if commits { "first" } else { "second" };
        assert_eq!(there.pop(), Some(Row::Reply(reply(7, status))));
    }
}

#[test]
fn a_reply_that_another_has_in_hand_is_waited_for_20_ms() {
    let mut bench = Bench::new();
    let (first, second) = (bench.connect(), bench.connect());
    bench.run(first, Statement::Begin).expect("begins");
    bench.run(first, Statement::SettleUnsettled(MAIN, vec![reply(7, "first")], 0)).expect("settles");
    bench.waits(second, Statement::SettleUnsettled(MAIN, vec![reply(6, "second"), reply(7, "second")], 0));
    let due = bench.server.due().expect("it does not wait for ever");
    assert_eq!(due, Time::of_micros(20_000));
    bench.now = due;
    assert_eq!(bench.server.ready(due), [second]);
    assert_eq!(bench.resume(second), Step::Done(Err(SqlState::LOCK_NOT_AVAILABLE)));
    bench.run(first, Statement::Rollback).expect("rolls back");
    assert_eq!(bench.server.rows(MAIN, Table::Reply), [], "the other of the batch went with it");
}

#[test]
fn the_bell_rings_at_a_commit_that_meets_a_sleeper_and_not_otherwise() {
    let mut bench = Bench::new();
    let (leader, publisher) = (bench.connect(), bench.connect());
    let bell = bench.server.bell_channel(MAIN);
    bench.run(leader, Statement::Listen(bell.clone())).expect("listens");
    bench.publish(publisher, 1);
    assert_eq!(bench.channels(leader), [""; 0], "it does not sleep");
    assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(true)));
    bench.run(publisher, Statement::Begin).expect("begins");
    bench.publish(publisher, 1);
    bench.publish(publisher, 1);
    assert_eq!(bench.channels(leader), [""; 0], "nothing before the commit");
    bench.run(publisher, Statement::Commit).expect("commits");
    assert_eq!(bench.channels(leader), [&*bell], "once");
    bench.run(publisher, Statement::Begin).expect("begins");
    bench.publish(publisher, 1);
    bench.run(publisher, Statement::Rollback).expect("rolls back");
    assert_eq!(bench.channels(leader), [""; 0]);
    bench.run(leader, Statement::Wake(MAIN)).expect("wakes");
    // A publisher between its callbacks and the release of its locks keeps the leader awake.
    bench.server.pause_commits(true);
    let publish = Statement::Publish(MAIN, vec![NewMessage::default()]);
    assert_eq!(bench.server.execute(publisher, publish, bench.now), Step::Waits);
    for _ in 0..3 {
        assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(false)));
        if bench.resume(publisher) != Step::Waits {
            break;
        }
    }
    assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(true)));
}

#[test]
fn a_commit_is_seen_before_its_notification_is_heard_and_notifiers_go_one_by_one() {
    let mut bench = Bench::new();
    bench.server.pause_commits(true);
    let (listener, one, two) = (bench.connect(), bench.connect(), bench.connect());
    bench.run(listener, Statement::Listen("c".into())).expect("listens");
    let notify = |payload: &str| Statement::Notify("c".into(), payload.into());
    assert_eq!(bench.server.execute(one, notify("1"), bench.now), Step::Waits);
    assert_eq!(bench.server.execute(two, notify("2"), bench.now), Step::Waits);
    assert!(!bench.server.ready(bench.now).contains(&two), "the first has the queue");
    let mut heard = Vec::new();
    while bench.server.is_open(one) && (bench.server.is_waiting(one) || bench.server.is_waiting(two)) {
        let ready = bench.server.ready(bench.now);
        bench.resume(ready[0]);
        heard.extend(bench.server.take_notes(listener).into_iter().map(|note| note.payload.to_string()));
    }
    assert_eq!(heard, ["1", "2"]);
}

#[test]
fn a_prepared_transaction_outlives_its_session_and_a_crash_and_keeps_the_bell() {
    let mut bench = Bench::new();
    let (publisher, leader) = (bench.connect(), bench.connect());
    bench.run(publisher, Statement::Begin).expect("begins");
    bench.publish(publisher, 1);
    bench.run(publisher, Statement::Prepare("p".into())).expect("prepares");
    bench.server.hang_up(publisher);
    assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(false)));
    bench.server.crash(0, bench.now);
    let leader = bench.connect();
    assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(false)), "after the crash, too");
    assert_eq!(bench.server.rows(MAIN, Table::Publish), []);
    bench.run(leader, Statement::CommitPrepared("p".into())).expect("commits");
    assert_eq!(bench.server.rows(MAIN, Table::Publish).len(), 1);
    assert_eq!(bench.run(leader, Statement::Sleep(MAIN)), Ok(Flag(true)));
    assert_eq!(bench.run(leader, Statement::CommitPrepared("p".into())), Err(SqlState::UNDEFINED));
    bench.run(leader, Statement::Begin).expect("begins");
    bench.run(leader, Statement::Notify("c".into(), "".into())).expect("notifies");
    assert_eq!(bench.run(leader, Statement::Prepare("p".into())), Err(SqlState::NOT_SUPPORTED));
}

#[test]
fn a_standby_that_lags_loses_the_newest_commits_and_hands_their_ids_out_again() {
    let mut bench = Bench::new();
    let session = bench.connect();
    let kept = bench.publish(session, 1);
    let got = bench.server.log_length();
    let lost = bench.publish(session, 40);
    let xid = bench.server.snapshot().xmax();
    bench.server.fail_over(got, bench.now);
    assert!(!bench.server.is_open(session));
    let session = bench.connect();
    let again = bench.publish(session, 3);
    // Numbers up to the logged one are skipped, and those after it come twice.
    assert_eq!((kept, again.as_slice()), (vec![1], &[34, 35, 36][..]));
    assert!(again.iter().all(|id| lost.contains(id)));
    assert_eq!(bench.server.snapshot().xmax(), xid, "the transaction's id comes twice");
    assert_eq!(bench.server.rows(MAIN, Table::Publish).len(), 4);
    assert_eq!(bench.run(session, Statement::Identity), Ok(Identity(2, bench.now)));
}

#[test]
fn a_crash_loses_no_commit_that_was_said_to_have_happened_unless_it_was_asynchronous() {
    for synchronous in [true, false] {
        let mut bench = Bench::new();
        bench.server.commit_synchronously(synchronous);
        let session = bench.connect();
        let flushed = bench.server.log_flushed();
        bench.publish(session, 1);
        bench.server.crash(flushed, bench.now);
        assert_eq!(bench.server.rows(MAIN, Table::Publish).len(), usize::from(synchronous));
    }
}

#[test]
fn a_commit_that_is_under_way_at_a_restart_happens_for_good() {
    // It has come as far as this.
    for steps in 0..3 {
        let mut bench = Bench::new();
        bench.server.pause_commits(true);
        let session = bench.connect();
        let publish = Statement::Publish(MAIN, vec![NewMessage::default()]);
        assert_eq!(bench.server.execute(session, publish, bench.now), Step::Waits);
        for _ in 0..steps {
            bench.resume(session);
        }
        bench.server.restart(bench.now);
        assert!(!bench.server.is_open(session));
        assert_eq!(bench.server.rows(MAIN, Table::Publish).len(), 1, "after {steps} steps");
        bench.server.crash(bench.server.log_flushed(), bench.now);
        assert_eq!(bench.server.rows(MAIN, Table::Publish).len(), 1, "nor does a crash change it");
    }
}

#[test]
fn a_lost_session_keeps_its_transaction_and_locks_until_the_server_notices() {
    let mut bench = Bench::new();
    let (lost, other) = (bench.connect(), bench.connect());
    assert_eq!(bench.run(lost, Statement::Lead(MAIN)), Ok(Flag(true)));
    bench.run(lost, Statement::Begin).expect("begins");
    bench.run(lost, Statement::Settle(MAIN, vec![reply(1, "lost")], 0)).expect("settles");
    assert_eq!(bench.run(other, Statement::Lead(MAIN)), Ok(Flag(false)));
    bench.server.hang_up(lost);
    assert_eq!(bench.run(other, Statement::Lead(MAIN)), Ok(Flag(true)));
    assert_eq!(bench.run(other, Statement::Settle(MAIN, vec![reply(1, "other")], 0)), Ok(Count(1)));
    assert_eq!(bench.run(lost, Statement::Heartbeat), Err(SqlState::LOST));
}

#[test]
fn a_frozen_backend_is_terminated_when_it_goes_on() {
    let mut bench = Bench::new();
    let (leader, follower) = (bench.connect(), bench.connect());
    assert_eq!(bench.run(leader, Statement::Lead(MAIN)), Ok(Flag(true)));
    bench.server.freeze(leader, true);
    assert_eq!(bench.run(follower, Statement::Depose(MAIN)), Ok(Flag(false)), "it is not silent yet");
    bench.now = Time::of_micros(12_000_001);
    assert_eq!(bench.run(follower, Statement::Depose(MAIN)), Ok(Flag(true)));
    assert_eq!(bench.run(follower, Statement::Lead(MAIN)), Ok(Flag(false)), "it stands still");
    bench.server.freeze(leader, false);
    assert_eq!(bench.run(follower, Statement::Lead(MAIN)), Ok(Flag(true)));
}

#[test]
fn of_two_that_wait_for_each_other_one_is_told_so() {
    let mut bench = Bench::new();
    let (one, two) = (bench.connect(), bench.connect());
    for (session, uid) in [(one, 1), (two, 2)] {
        bench.run(session, Statement::Begin).expect("begins");
        bench.run(session, Statement::Accept(MAIN, 1, vec![taking(uid, 1)])).expect("accepts");
    }
    bench.waits(one, Statement::Accept(MAIN, 1, vec![taking(2, 1)]));
    bench.waits(two, Statement::Accept(MAIN, 1, vec![taking(1, 1)]));
    bench.now = bench.server.due().expect("PostgreSQL looks");
    assert_eq!(bench.now, Time::of_micros(1_000_000));
    assert_eq!(bench.resume(one), Step::Done(Err(SqlState::DEADLOCK)));
    assert_eq!(bench.server.ready(bench.now), [two]);
    assert_eq!(bench.resume(two), Step::Done(Ok(Uids(vec![1]))));
    assert_eq!(bench.run(one, Statement::Heartbeat), Err(SqlState::FAILED_TRANSACTION));
    assert_eq!(bench.run(one, Statement::Commit), Ok(RolledBack));
}

#[test]
fn the_inbox_knows_a_message_by_its_last_run_and_its_owner() {
    let mut bench = Bench::new();
    let (owner, other) = (bench.connect(), bench.connect());
    assert_eq!(bench.run(owner, Statement::Present(MAIN, 1)), Ok(Flag(true)));
    assert_eq!(bench.run(owner, Statement::Accept(MAIN, 1, vec![taking(5, 1)])), Ok(Uids(vec![5])));
    assert_eq!(bench.run(other, Statement::Accept(MAIN, 2, vec![taking(5, 1)])), Ok(Uids(vec![])));
    let known = |bench: &mut Bench, key| match bench.run(other, Statement::Known(MAIN, key, vec![5])) {
        Ok(Answer::Known(mut known)) => known.remove(0),
        other => panic!("{other:?}"),
    };
    let first = known(&mut bench, 2);
    assert_eq!((first.run, first.is_present, first.has_time, first.ours), (Some(1), true, true, false));
    assert!(known(&mut bench, 1).ours && !known(&mut bench, 1).is_present);
    bench.server.terminate(owner);
    assert!(!known(&mut bench, 2).is_present, "its owner is dead");
    assert_eq!(bench.run(other, Statement::Accept(MAIN, 2, vec![taking(5, 2)])), Ok(Uids(vec![5])));
    let outcome = |run, answer: &str| Outcome { uid: 5, run, answer: answer.into() };
    assert_eq!(bench.run(other, Statement::Finish(MAIN, vec![outcome(2, "2")])), Ok(Uids(vec![5])));
    assert_eq!(bench.run(other, Statement::Finish(MAIN, vec![outcome(1, "1")])), Ok(Uids(vec![])));
    let stored = vec![(5, "2".into())];
    assert_eq!(bench.run(other, Statement::Outcomes(MAIN, vec![4, 5])), Ok(Outcomes(stored)));
    assert_eq!(bench.run(other, Statement::CountRepeat(MAIN, 2, taking(5, 0))), Ok(Maybe(Some(1))));
    assert_eq!(bench.run(other, Statement::CountRepeat(MAIN, 2, taking(5, 0))), Ok(Maybe(Some(2))));
    assert_eq!(bench.run(other, Statement::Begun(MAIN, 5)), Ok(Number(2)));
}

#[test]
fn a_cancel_settles_and_notifies_the_leader_once() {
    let mut bench = Bench::new();
    let (leader, operator) = (bench.connect(), bench.connect());
    let channel = bench.server.cancel_channel(MAIN);
    bench.run(leader, Statement::Listen(channel.clone())).expect("listens");
    bench.publish(operator, 1);
    assert_eq!(bench.run(operator, Statement::Cancel(MAIN, 1)), Ok(Flag(true)));
    assert_eq!(bench.run(operator, Statement::Cancel(MAIN, 1)), Ok(Flag(false)));
    assert_eq!(bench.run(operator, Statement::Cancel(MAIN, 2)), Err(SqlState::NO_DATA));
    assert_eq!(bench.channels(leader), [&*channel]);
    assert_eq!(bench.run(leader, Statement::Unsettled(MAIN, vec![1, 2])), Ok(Answer::Unsettled(vec![])));
    assert_eq!(bench.run(leader, Statement::Settled(MAIN, vec![1, 2])), Ok(Ids(vec![1])));
}

#[test]
fn an_outcome_that_needs_its_accept_is_stored_only_for_what_the_copy_has_accepted() {
    let mut bench = Bench::new();
    let session = bench.connect();
    let finish =
        |key| Statement::FinishAccepted(MAIN, key, vec![Outcome { uid: 5, run: 1, answer: "1".into() }]);
    assert_eq!(bench.run(session, finish(2)), Ok(Uids(vec![])));
    assert_eq!(bench.run(session, Statement::Accept(MAIN, 2, vec![taking(5, 1)])), Ok(Uids(vec![5])));
    assert_eq!(bench.run(session, finish(1)), Ok(Uids(vec![])));
    assert_eq!(bench.run(session, finish(2)), Ok(Uids(vec![5])));
}

#[test]
fn the_clock_of_the_host_jumps_and_timeouts_do_not_go_by_it() {
    let mut bench = Bench::new();
    let (leader, other) = (bench.connect(), bench.connect());
    assert_eq!(bench.run(leader, Statement::Lead(MAIN)), Ok(Flag(true)));
    bench.server.set_timeouts(other, None, None, Some(Duration::from_secs(60)));
    bench.run(other, Statement::Begin).expect("begins");
    let hour = Duration::from_secs(3_600);
    bench.server.set_clock(hour.as_micros() as i64);
    assert_eq!(bench.run(other, Statement::Heartbeat), Ok(Answer::Time(bench.now + hour)));
    assert_eq!(bench.server.due_of(other), Some(bench.now + Duration::from_secs(60)));
    // The leader's last statement seems to be an hour old.
    assert_eq!(bench.run(other, Statement::Depose(MAIN)), Ok(Flag(true)));
    assert!(!bench.server.is_open(leader));
}

#[test]
fn a_full_disk_takes_no_rows_and_has_room_again() {
    let mut bench = Bench::new();
    let session = bench.connect();
    bench.publish(session, 1);
    bench.server.fill_disk(true);
    let publish = || Statement::Publish(MAIN, vec![NewMessage::default()]);
    assert_eq!(bench.run(session, publish()), Err(SqlState::DISK_FULL));
    assert_eq!(bench.run(session, Statement::TryToSettle(MAIN)), Err(SqlState::DISK_FULL));
    let open = Unsettled { id: 1, lane: "".into(), priority: 0, key: None };
    assert_eq!(bench.run(session, Statement::Unsettled(MAIN, vec![1])), Ok(Answer::Unsettled(vec![open])));
    bench.server.fill_disk(false);
    bench.publish(session, 1);
    assert_eq!(bench.run(session, Statement::TryToSettle(MAIN)), Ok(Done));
}

#[test]
fn the_place_is_known_from_which_on_ids_are_given_out_again() {
    let mut bench = Bench::new();
    let session = bench.connect();
    bench.publish(session, 33);
    let before = bench.server.log_length();
    let ids = bench.publish(session, 2);
    let (place, first) = bench.server.last_ids(MAIN).expect("ids were drawn");
    assert_eq!((ids[0], place), (first, before));
    bench.server.fail_over(place, bench.now);
    let session = bench.connect();
    assert_eq!(bench.publish(session, 1), ids[..1]);
}

#[test]
fn what_is_sent_later_goes_into_the_outbox_at_its_time_and_who_has_it_in_hand_is_passed_over() {
    let mut bench = Bench::new();
    let (leader, publisher, operator) = (bench.connect(), bench.connect(), bench.connect());
    bench.run(leader, Statement::Listen("due_in_main_service".into())).expect("listens");
    let second = |n: u64| Time::of_micros(n * 1_000_000);
    let seen = bench.server.snapshot();
    for at in [5, 200, 3] {
        let later = Statement::PublishLater(MAIN, vec![NewMessage::default()], second(at));
        bench.run(publisher, later).expect("is published");
    }
    let told: Vec<String> =
        bench.server.take_notes(leader).into_iter().map(|note| note.payload.to_string()).collect();
    assert_eq!(told, ["5000000", "3000000"], "the other is not due within a minute");
    let due = |from| Statement::SendDue(MAIN, from, 256);
    let sent = |rows, least, upto, next| {
        let (next, renamed) = (Some(Duration::from_millis(next)), Vec::new());
        Ok(Answer::SentDue(SentDue { rows, least, upto, next, renamed }))
    };
    assert_eq!(bench.run(leader, due(None)), sent(0, None, None, 3_000));
    assert_eq!(bench.read(leader, window(seen.clone())).1, []);
    bench.now = second(6);
    bench.run(operator, Statement::Begin).expect("begins");
    assert_eq!(bench.run(operator, Statement::Cancel(MAIN, 3)), Ok(Flag(true)));
    assert_eq!(bench.run(leader, due(None)), sent(1, Some(1), Some(second(3)), 100), "3 is in his hand");
    bench.run(operator, Statement::Rollback).expect("rolls back");
    assert_eq!(bench.run(leader, due(Some(second(3)))), sent(1, Some(3), Some(second(3)), 194_000));
    assert_eq!(bench.read(leader, window(seen)).1.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(bench.run(operator, Statement::Cancel(MAIN, 2)), Ok(Flag(true)));
    assert_eq!(bench.server.reply_of(MAIN, 2).map(|reply| reply.status), Some("cancelled".into()));
    bench.now = second(300);
    assert!(matches!(bench.run(leader, due(None)), Ok(Answer::SentDue(SentDue { rows: 0, next: None, .. }))));
}
