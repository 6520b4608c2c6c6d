//! The last words: the addresses of everything, and the commands to look on.

use crate::environment::Environment;
use crate::paper::Paper;

/// Prints them.
pub fn print(paper: &Paper, environment: &Environment, failed: &[String]) {
    paper.heading("Where everything is");
    let unset = |name: &str| format!("({name} is not set)");
    let jaeger = environment.jaeger_url.clone().unwrap_or_else(|| unset("JAEGER_URL"));
    let monitor = environment.nats_monitor_url.clone().unwrap_or_else(|| unset("NATS_MONITOR_URL"));
    paper.line("traces", &jaeger);
    paper.line("database", "make psql    (as main; the outbox is main_service.mq_publish, all at a glance main_service.mq_status)");
    paper.line("NATS", &monitor);
    for (copy, url) in &environment.copies {
        paper.line(copy, &format!("{url}/readyz  /metrics  /version"));
    }
    paper.line("logs", "logs/");
    paper.line("addresses", "eval \"$(make env)\"");

    paper.heading("How to go on");
    for (what, how) in [
        ("look", "make status; make logs-analytic"),
        ("add a copy", "COPY_NUMBER=2 make up-analytic"),
        ("a release", "SERVICE_VERSION=2.73 COPY_NUMBER=2 make up-analytic"),
        ("a service", "make create-billing && make up-billing"),
        ("stop", "make down"),
        ("remove", "make clean"),
    ] {
        paper.line(what, how);
    }

    match failed {
        [] => paper.heading("Eight cases, all as expected"),
        failed => {
            paper.heading(&format!("{} of eight cases not as expected", failed.len()));
            for case in failed {
                println!("  {case}");
            }
        }
    }
    println!();
}
