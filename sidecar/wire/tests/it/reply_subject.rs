use proptest::prelude::*;
use tpro_wire::reply_subject::is_home;
use tpro_wire::{ReplyPrefix, ServiceName};
use uuid::Uuid;

use crate::support::{mutated, service, uid, uuid};

const UID: &str = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";

fn main_prefix() -> ReplyPrefix {
    ReplyPrefix::new(&ServiceName::parse("main").unwrap(), &instance())
}

fn instance() -> Uuid {
    "019108f7-52d1-4320-9bac-f847db4148a8".parse().unwrap()
}

/// Whether a subject falls under a subscription, as NATS matches them.
fn matches(subscription: &str, subject: &str) -> bool {
    let (pattern, tokens): (Vec<_>, Vec<_>) =
        (subscription.split('.').collect(), subject.split('.').collect());
    pattern.len() == tokens.len() && pattern.iter().zip(tokens).all(|(p, t)| *p == "*" || *p == t)
}

#[test]
fn a_reply_subject_names_service_database_target_uid_and_attempt() {
    let uid = UID.parse().unwrap();
    let prefix = main_prefix();
    assert_eq!(prefix.subject("co", &uid, 1), format!("_INBOX.tpro.main.019108f7.co.{UID}.1"));
    let last = format!("_INBOX.tpro.main.019108f7.co.{UID}.4294967295");
    assert_eq!(prefix.subject("co", &uid, u32::MAX), last);
    assert_eq!(prefix.wildcard(), "_INBOX.tpro.main.019108f7.*.*.*");
    let direct = ReplyPrefix::direct(&ServiceName::parse("main").unwrap(), &instance(), 0xab);
    assert_eq!(direct.subject("co", &uid, 2), format!("_INBOX.tpro.main.019108f7.000000ab.co.{UID}.2"));
    assert_eq!(direct.wildcard(), "_INBOX.tpro.main.019108f7.000000ab.*.*.*");
}

#[test]
fn only_what_we_write_is_read() {
    let prefix = main_prefix();
    let at = |rest: &str| {
        let subject = format!("_INBOX.tpro.main.019108f7.co.{rest}");
        prefix.parse(&subject).map(|(asked, uid, attempt)| (asked.to_owned(), uid, attempt))
    };
    assert_eq!(at(&format!("{UID}.7")), Some(("co".to_owned(), UID.parse().unwrap(), 7)));
    assert_eq!(at(&format!("{UID}.0")), Some(("co".to_owned(), UID.parse().unwrap(), 0)));
    for rest in [
        "",
        ".",
        UID,
        &format!("{UID}."),
        &format!("{UID}.01"),
        &format!("{UID}.+1"),
        &format!("{UID}.-1"),
        &format!("{UID}.1.1"),
        &format!("{UID}.1 "),
        &format!("{UID}.4294967296"),
        &format!("{UID}-1"),
        &format!("{}.1", UID.to_uppercase()),
        "919108f7-52d1-4320-9bac-f847db4148a8.1",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398é.1",
    ] {
        assert_eq!(at(rest), None, "{rest:?}");
    }
    assert_eq!(prefix.parse(&format!("_INBOX.tpro.main.019108f7.{UID}.1")), None, "as 0.1.0 had it");
    assert_eq!(prefix.parse(&format!("_INBOX.tpro.main.019108f8.co.{UID}.1")), None);
    assert_eq!(prefix.parse(&format!("_INBOX.tpro.mainx.019108f7.co.{UID}.1")), None);
    assert_eq!(prefix.parse(&format!("x_INBOX.tpro.main.019108f7.co.{UID}.1")), None);
}

#[test]
fn what_comes_home_names_service_and_message() {
    let (main, uid) = (ServiceName::parse("main").unwrap(), UID.parse().unwrap());
    for ours in [
        main_prefix().subject("co", &uid, 1),
        ReplyPrefix::direct(&main, &instance(), 7).subject("co", &uid, 2),
    ] {
        assert!(is_home(&ours, &main, &uid), "{ours}");
        assert!(!is_home(&ours, &ServiceName::parse("mai").unwrap(), &uid), "{ours}");
        assert!(!is_home(&ours, &ServiceName::parse("main_x").unwrap(), &uid), "{ours}");
    }
    for other in
        ["", "_INBOX.x", &format!("_INBOX.tpro.mainx.{UID}.1"), &format!("_INBOX.tpro.main.{UID}x.1"), UID]
    {
        assert!(!is_home(other, &main, &uid), "{other}");
    }
}

proptest! {
    #[test]
    fn uid_and_attempt_come_back(
        service in service(), asked in service(), instance in uuid(), nonce in any::<u32>(), uid in uid(),
        attempt in any::<u32>(),
    ) {
        let outbox = ReplyPrefix::new(&service, &instance);
        let direct = ReplyPrefix::direct(&service, &instance, nonce);
        for (one, other) in [(&outbox, &direct), (&direct, &outbox)] {
            let subject = one.subject(asked.as_str(), &uid, attempt);
            prop_assert_eq!(one.parse(&subject), Some((asked.as_str(), uid, attempt)));
            prop_assert_eq!(other.parse(&subject), None);
            prop_assert!(matches(&one.wildcard(), &subject));
            prop_assert!(!matches(&other.wildcard(), &subject));
        }
    }

    #[test]
    fn what_is_read_is_what_stood_there(
        bytes in mutated((uid(), any::<u32>()).prop_map(|(uid, attempt)| main_prefix().subject("co", &uid, attempt))),
    ) {
        if let Ok(text) = str::from_utf8(&bytes) && let Some((asked, uid, attempt)) = main_prefix().parse(text) {
            prop_assert_eq!(main_prefix().subject(asked, &uid, attempt), text);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = main_prefix().parse(&text);
        let _ = main_prefix().parse(&format!("_INBOX.tpro.main.019108f7.{text}"));
    }
}
