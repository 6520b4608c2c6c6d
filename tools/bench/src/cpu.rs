//! CPU time of everything that the benchmark has started: PostgreSQL with its backends,
//! nats-server, the sidecars.
//!
//! On a machine that does other things as well, messages a second say how much of it was left over.
//! CPU time a message says what a message costs. It comes from `/proc/<pid>/stat` (proc(5)), whose
//! ticks are hundredths of a second on Linux.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// The numbers of one line of `/proc/<pid>/stat`.
struct Stat {
    parent: u32,
    /// Its own.
    own: u64,
    /// Of its children that have ended and were waited for, and of theirs.
    ended: u64,
}

/// Seconds a tick: `USER_HZ` is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time that all processes below this one have used so far.
pub fn spent() -> Duration {
    let stats: HashMap<u32, Stat> = processes().collect();
    let this = std::process::id();
    let is_below = |pid: u32| {
        let mut at = pid;
        // A parent that ends meanwhile could make a circle of stale lines; no chain is this long.
        for _ in 0..64 {
            match stats.get(&at) {
                Some(stat) if stat.parent == this => return true,
                Some(stat) => at = stat.parent,
                None => return false,
            }
        }
        false
    };
    let below =
        stats.iter().filter(|(pid, _)| is_below(**pid)).map(|(_, stat)| stat.own + stat.ended).sum::<u64>();
    let ticks = below + stats.get(&this).map_or(0, |stat| stat.ended);
    TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The CPU time that the threads of this process have used so far. One that has ended is left out.
/// A process that rests uses few ticks in a minute, so the nanoseconds of `schedstat` are summed.
pub fn of(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let used = threads.filter_map(|thread| {
        let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(used.sum())
}

fn processes() -> impl Iterator<Item = (u32, Stat)> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|folder| {
        let pid = folder.file_name().to_str()?.parse().ok()?;
        // A process that has just ended has no line.
        Some((pid, parse(&fs::read_to_string(folder.path().join("stat")).ok()?)?))
    })
}

/// The name of a program is in parentheses and may hold any; what follows the last one are numbers.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    // Numbered from 3, the state.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        ended: number(16)? + number(17)?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_program_is_called() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 0 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        let stat = parse(line).expect("is a line");
        assert_eq!((stat.parent, stat.own, stat.ended), (3, 30, 70));
        assert!(parse("7 (a").is_none());
    }

    #[test]
    fn what_this_process_has_used_is_told_in_nanoseconds() {
        let before = of(std::process::id());
        assert!(before > Duration::ZERO);
        let sum = (0..1_000_000_u64).fold(0, |sum, number| std::hint::black_box(sum ^ number));
        assert!(of(std::process::id()) > before, "{sum}");
    }

    #[test]
    fn what_a_child_has_used_counts_while_it_runs_and_when_it_has_ended() {
        let before = spent();
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
        let status = Command::new("sh").args(["-c", busy]).status().expect("there is a shell");
        assert!(status.success());
        assert!(spent() > before);
    }
}
