//! Moments of a run as the product has them.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use tpro_dispatcher::core::Moment;

use crate::time::Time;

/// Seconds since 1970 at the beginning of time by the database's clock.
const BEGAN: u64 = 1_700_000_000;
/// Seconds since 1970 at the begin of 2000.
const BEGAN_OF_2000: u64 = 946_684_800;

/// The moment as an instant. An instant cannot be made of a number, so all of them are counted from
/// one that is taken once. Nothing but distances between them counts.
pub fn instant(time: Time) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now) + Duration::from_secs(3_600) + Duration::from_micros(time.micros())
}

/// The moment of an instant.
pub fn time(at: Instant) -> Time {
    Time::START + at.saturating_duration_since(instant(Time::START))
}

/// The moment by the clock of the database.
pub fn wall(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(BEGAN) + Duration::from_micros(time.micros())
}

/// The moment by the clock of the database, as the product keeps it.
pub fn moment(time: Time) -> Moment {
    Moment((BEGAN - BEGAN_OF_2000) as i64 * 1_000_000 + time.micros() as i64)
}

/// The moment that the product has of a moment by the clock of the database.
pub fn of_moment(moment: Moment) -> Time {
    let micros = moment.0 - (BEGAN - BEGAN_OF_2000) as i64 * 1_000_000;
    Time::of_micros(u64::try_from(micros).unwrap_or_default())
}

/// The moment by the clock of the database, in milliseconds since 1970.
pub fn unix_ms(time: Time) -> u64 {
    BEGAN * 1_000 + time.micros() / 1_000
}
