//! The way of log lines to their place, by a thread, so that nobody waits for it.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use super::LineCounts;
use crate::metrics::Reason;

/// Lines that wait for the sink: some seconds of a busy service.
const QUEUE: usize = 8192;
/// Bytes that are written at once when lines have piled up.
const CHUNK: usize = 64 * 1024;

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// One sink: stdout or the file.
pub(super) struct Sink {
    sender: SyncSender<Message>,
    outage: Outage,
}

impl Sink {
    /// Starts the thread; `write` writes whole lines.
    pub(super) fn start(
        name: &'static str,
        counts: &LineCounts,
        write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        let outage = Outage { name, on: Arc::new(AtomicBool::new(false)), counts: counts.clone() };
        let of_thread = outage.clone();
        let started = thread::Builder::new()
            .name(format!("log-{name}"))
            .spawn(move || write_all(&receiver, write, &of_thread));
        if let Err(error) = started {
            // The receiver is gone with the closure: every line is counted as dropped, and the
            // service goes on.
            outage.begins(&error.to_string());
        }
        Self { sender, outage }
    }

    /// Hands over a line, or drops it: never waits.
    pub(super) fn send(&self, line: &[u8]) {
        match self.sender.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.outage.count(1);
                self.outage.begins("it takes no more");
            }
            Err(TrySendError::Disconnected(_)) => self.outage.count(1),
        }
    }

    /// Waits until all lines sent so far are written, this long at most.
    pub(super) fn flush(&self, limit: Duration) {
        let (done, is_done) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            // An error means that the time is up or the thread is gone; either way we go on.
            let _ = is_done.recv_timeout(limit);
        }
    }
}

fn write_all(receiver: &Receiver<Message>, mut write: impl FnMut(&[u8]) -> io::Result<()>, outage: &Outage) {
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Ok(first) = receiver.recv() {
        let mut flushed = Vec::new();
        let mut lines = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    chunk.extend_from_slice(&line);
                    lines += 1;
                }
                Message::Flush(done) => flushed.push(done),
            }
            next = if chunk.len() < CHUNK { receiver.try_recv().ok() } else { None };
        }
        if lines > 0 {
            match write(&chunk) {
                Ok(()) => outage.is_over(),
                Err(error) => {
                    outage.count(lines);
                    outage.begins(&error.to_string());
                }
            }
        }
        chunk.clear();
        for done in flushed {
            // The caller may have stopped waiting.
            let _ = done.send(());
        }
    }
}

/// The time during which a sink takes nothing; one line on stderr at its beginning.
#[derive(Clone)]
struct Outage {
    name: &'static str,
    on: Arc<AtomicBool>,
    counts: LineCounts,
}

impl Outage {
    fn count(&self, lines: u64) {
        self.counts.dropped.get_or_create(&Reason { reason: self.name }).inc_by(lines);
    }

    fn begins(&self, why: &str) {
        if self.on.swap(true, Ordering::Relaxed) {
            return;
        }
        let line = format!("log lines to {} are dropped and counted: {why}\n", self.name);
        // stderr is often the same terminal or pipe as stdout, and may be blocked as well: a thread
        // may wait for it.
        let _ = thread::Builder::new()
            .name("log-stderr".into())
            .spawn(move || io::stderr().write_all(line.as_bytes()));
    }

    fn is_over(&self) {
        self.on.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    fn dropped(counts: &LineCounts, name: &'static str) -> u64 {
        counts.dropped.get_or_create(&Reason { reason: name }).get()
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (to, counts) = (written.clone(), LineCounts::default());
        let sink = Sink::start("stdout", &counts, move |lines| {
            to.lock().unwrap().extend_from_slice(lines);
            Ok(())
        });
        for n in 0..100 {
            sink.send(format!("{n}\n").as_bytes());
        }
        sink.flush(Duration::from_secs(5));
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected);
        assert_eq!(dropped(&counts, "stdout"), 0);
    }

    #[test]
    fn a_blocked_sink_holds_nobody_up_and_the_lost_lines_are_counted() {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (of_sink, counts) = (gate.clone(), LineCounts::default());
        let sink = Sink::start("stdout", &counts, move |_| {
            let (open, changed) = &*of_sink;
            drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            Ok(())
        });
        let sent = 3 * QUEUE as u64;
        for _ in 0..sent {
            sink.send(b"line\n");
        }
        // One chunk may be in the hands of the sink, the queue is full, the rest is lost.
        let lost = dropped(&counts, "stdout");
        assert!(lost + (QUEUE + CHUNK / 5) as u64 + 1 >= sent && lost < sent, "{lost} of {sent}");
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        sink.flush(Duration::from_secs(5));
        assert_eq!(dropped(&counts, "stdout"), lost);
    }

    #[test]
    fn a_sink_that_fails_is_tried_again_with_the_next_lines() {
        let counts = LineCounts::default();
        let mut calls = 0;
        let sink = Sink::start("file", &counts, move |_| {
            calls += 1;
            if calls == 1 { Err(io::Error::other("disk full")) } else { Ok(()) }
        });
        sink.send(b"lost\n");
        sink.flush(Duration::from_secs(5));
        sink.send(b"kept\n");
        sink.flush(Duration::from_secs(5));
        assert_eq!(dropped(&counts, "file"), 1);
    }
}
