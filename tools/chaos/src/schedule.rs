//! The schedule of faults: rounds of a mix of a few kinds, as Jepsen rotates them, each round with
//! a quiet quarter at its end.
//!
//! It follows from the seed alone. A longer run begins as a shorter one of its seed does.

use std::time::Duration;

use tpro_testkit::StopMode;
use tpro_testkit::proxy::Fault;

use crate::act::{Act, COPIES, SERVICES, TABLES, What, Whom};
use crate::random::Random;

/// A round, its quiet quarter included.
pub const ROUND: Duration = Duration::from_secs(40);
/// The start of the quiet quarter in a round.
const QUIET: Duration = Duration::from_secs(30);

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// SIGKILL of copies.
    Kill,
    /// SIGTERM of copies.
    Stop,
    /// SIGSTOP of copies.
    Freeze,
    /// Sessions of sidecars are terminated.
    Terminate,
    /// PostgreSQL restarts in good order.
    PostgresFast,
    /// PostgreSQL crashes.
    PostgresImmediate,
    /// nats-server restarts.
    Nats,
    /// Bad lines to NATS.
    NatsLine,
    /// Bad lines to PostgreSQL.
    DatabaseLine,
    /// A bad line of the publishers.
    PublisherLine,
    /// Somebody reads one table for long.
    Reader,
    /// Ids jump.
    Jump,
}

const KINDS: [Kind; 12] = [
    Kind::Kill,
    Kind::Stop,
    Kind::Freeze,
    Kind::Terminate,
    Kind::PostgresFast,
    Kind::PostgresImmediate,
    Kind::Nats,
    Kind::NatsLine,
    Kind::DatabaseLine,
    Kind::PublisherLine,
    Kind::Reader,
    Kind::Jump,
];

/// A mix of faults and the quiet after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The kinds that are mixed.
    pub mix: Vec<Kind>,
    /// The faults, by their time.
    pub acts: Vec<Act>,
    /// The time since the start of the run at which all of them are over.
    pub quiet: Duration,
}

/// The rounds of a run of this many seconds.
pub fn rounds(seed: u64, seconds: u64) -> Vec<Round> {
    let mut random = Random::part(seed, 1);
    let mut rotation = Vec::new();
    let mut rounds = Vec::new();
    let mut begin = Duration::ZERO;
    while begin < Duration::from_secs(seconds) {
        let mut mix = Vec::new();
        for _ in 0..random.between(1, 3) {
            if rotation.is_empty() {
                rotation = KINDS.to_vec();
                random.shuffle(&mut rotation);
            }
            mix.extend(rotation.pop().filter(|kind| !mix.contains(kind)));
        }
        rounds.push(round(&mut random, begin, mix));
        begin += ROUND;
    }
    // A fault that would begin after the end is left out, and the last round is quiet by the end.
    let end = Duration::from_secs(seconds);
    if let Some(last) = rounds.last_mut() {
        last.acts.retain(|act| act.at + act.what.length() < end);
        last.quiet = last.quiet.min(end);
    }
    rounds
}

fn round(random: &mut Random, begin: Duration, mix: Vec<Kind>) -> Round {
    let mut acts = Vec::new();
    for kind in &mix {
        let mut at = random.millis(500, 4_000);
        loop {
            let what = act(random, *kind);
            let over = at + what.length();
            if over > QUIET {
                break;
            }
            acts.push(Act { at: begin + at, what });
            // Some overlap with the one before, if it is another's.
            at += what.length().mul_f64(0.5) + random.millis(500, 5_000);
        }
    }
    acts.sort_by_key(|act| act.at);
    Round { mix, acts, quiet: begin + QUIET }
}

fn act(random: &mut Random, kind: Kind) -> What {
    match kind {
        Kind::Kill => What::Kill(whom(random), random.millis(100, 4_000)),
        Kind::Stop => What::Stop(whom(random), random.millis(100, 3_000)),
        // Beyond 12 s a frozen leader is deposed.
        Kind::Freeze => What::Freeze(whom(random), random.millis(500, 17_000)),
        Kind::Terminate => What::Terminate(random.between(1, 25) as u32),
        Kind::PostgresFast => What::Postgres(StopMode::Fast, random.millis(100, 6_000)),
        Kind::PostgresImmediate => What::Postgres(StopMode::Immediate, random.millis(100, 6_000)),
        Kind::Nats => What::Nats(random.one_in(2), random.millis(100, 9_000)),
        Kind::NatsLine => What::NatsLine(whom(random), fault(random), random.millis(300, 14_000)),
        Kind::DatabaseLine => What::DatabaseLine(whom(random), fault(random), random.millis(300, 14_000)),
        Kind::PublisherLine => What::PublisherLine(fault(random), random.millis(300, 6_000)),
        Kind::Reader => {
            let (service, table) = (*random.pick(&SERVICES), *random.pick(&TABLES));
            What::Reader(service, table, random.millis(1_000, 20_000))
        }
        // Within a partition, and past those that are made ahead.
        Kind::Jump => {
            let service = *random.pick(&SERVICES);
            What::Jump(service, random.between(100, 8_000_000) as i64)
        }
    }
}

fn whom(random: &mut Random) -> Whom {
    let service = *random.pick(&SERVICES);
    match random.between(0, u64::from(COPIES)) as u32 {
        0 => Whom::Leader(service),
        number => Whom::Copy(service, number),
    }
}

fn fault(random: &mut Random) -> Fault {
    match random.between(1, 5) {
        1 => Fault::Latency(random.millis(5, 400)),
        2 => Fault::Pause,
        3 => Fault::BlackHole,
        4 => Fault::Reset,
        _ => Fault::CutAfter(random.between(1, 200_000)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KINDS, rounds};

    #[test]
    fn a_seed_gives_the_same_faults_again() {
        assert_eq!(rounds(7, 600), rounds(7, 600));
        assert_ne!(rounds(7, 600), rounds(8, 600));
    }

    #[test]
    fn a_longer_run_begins_as_a_shorter_one() {
        assert_eq!(rounds(7, 400)[..], rounds(7, 4_000)[..10]);
    }

    #[test]
    fn every_quarter_that_is_to_be_quiet_is() {
        for round in rounds(7, 3_600) {
            assert!(!round.acts.is_empty());
            for act in round.acts {
                assert!(act.at + act.what.length() <= round.quiet, "{act}");
            }
        }
    }

    #[test]
    fn ten_minutes_have_every_kind_and_stay_in_time() {
        for seed in 0..100 {
            let rounds = rounds(seed, 600);
            for kind in KINDS {
                assert!(rounds.iter().any(|round| round.mix.contains(&kind)), "seed {seed}: no {kind:?}");
            }
            assert!(rounds.iter().flat_map(|round| &round.acts).all(|act| act.at < Duration::from_secs(600)));
        }
    }
}
