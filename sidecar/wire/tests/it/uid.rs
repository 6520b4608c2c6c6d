use proptest::prelude::*;
use tpro_wire::Target;
use tpro_wire::uid::{Uid, UidError};
use uuid::Uuid;

use crate::support::{mutated, target, uid, uuid};

#[test]
fn the_example_of_the_rfc_is_read() {
    // RFC 9562, appendix A.6: 2022-02-22 14:22:22 -05:00.
    let uid: Uid = "017F22E2-79B0-7CC3-98C4-DC0C0C07398F".parse().unwrap();
    assert_eq!(uid.unix_ms(), 0x017F_22E2_79B0);
    assert_eq!(uid.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

#[test]
fn other_forms_and_other_versions_are_refused() {
    for text in [
        "",
        "017f22e279b07cc398c4dc0c0c07398f",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f ",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e279b0--7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c0739é",
    ] {
        assert_eq!(text.parse::<Uid>(), Err(UidError::Malformed), "{text:?}");
    }
    for text in [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "919108f7-52d1-4320-9bac-f847db4148a8",
        "1ec9414c-232a-6b00-b3c8-9f6bdeced846",
        "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
        // Version 7, but not the variant of the RFC.
        "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-d8c4-dc0c0c07398f",
    ] {
        assert_eq!(text.parse::<Uid>(), Err(UidError::Version), "{text:?}");
    }
}

#[test]
fn a_child_is_the_same_for_ever() {
    // Written down, since a release that made other children would run every call of a repeated handler twice.
    let parent: Uid = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
    let target = Target::parse("tpro.co.example.request_with_parallel_queries").unwrap();
    assert_eq!(parent.child(&target, 0).to_string(), "017f22e2-79b0-70b5-9c71-e8a894c415b8");
    assert_eq!(parent.child(&target, 1).to_string(), "017f22e2-79b0-750a-b5b0-1a3ca6abedd7");
}

#[test]
fn a_time_past_the_last_is_the_last() {
    assert_eq!(Uid::v7(u64::MAX, [0; 10]), Uid::v7((1 << 48) - 1, [0; 10]));
}

proptest! {
    #[test]
    fn time_and_text_come_back(ms in 0u64..1 << 48, random in any::<[u8; 10]>()) {
        let uid = Uid::v7(ms, random);
        prop_assert_eq!(uid.unix_ms(), ms);
        prop_assert_eq!(uid.to_string().parse(), Ok(uid));
        prop_assert_eq!(uid.to_string().to_uppercase().parse(), Ok(uid));
        prop_assert_eq!(Uid::from_uuid(uid.uuid()), Ok(uid));
        prop_assert_eq!(uid.uuid().get_version_num(), 7);
    }

    #[test]
    fn uids_order_by_time(a in 0u64..1 << 48, b in 0u64..1 << 48, x in any::<[u8; 10]>(), y in any::<[u8; 10]>()) {
        prop_assume!(a != b);
        let (earlier, later) = (Uid::v7(a.min(b), x), Uid::v7(a.max(b), y));
        prop_assert!(earlier < later);
        // As PostgreSQL orders uuids, by bytes, and as texts order.
        prop_assert!(earlier.uuid().as_bytes() < later.uuid().as_bytes());
        prop_assert!(earlier.to_string() < later.to_string());
    }

    #[test]
    fn random_bytes_make_distinct_uids(ms in 0u64..1 << 48, x in any::<[u8; 10]>(), bit in 0usize..80) {
        let mut y = x;
        y[bit / 8] ^= 1 << (bit % 8);
        // Four bits are the version's and two the variant's.
        let kept = !matches!(bit, 4..=7 | 22..=23);
        prop_assert_eq!(Uid::v7(ms, x) != Uid::v7(ms, y), kept);
    }

    #[test]
    fn a_child_is_determined_by_parent_target_and_ordinal(
        parent in uid(), other in uid(), a in target(), b in target(), i in any::<u32>(), j in any::<u32>(),
    ) {
        let child = parent.child(&a, i);
        prop_assert_eq!(child, parent.child(&a.to_string().parse().unwrap(), i));
        prop_assert_eq!(child.unix_ms(), parent.unix_ms());
        prop_assert_eq!(Uid::from_uuid(child.uuid()), Ok(child));
        prop_assert_ne!(child, parent);
        prop_assert_eq!(child == parent.child(&b, i), a == b);
        prop_assert_eq!(child == parent.child(&a, j), i == j);
        prop_assert_eq!(child == other.child(&a, i), parent == other);
        prop_assert_ne!(child, child.child(&a, i));
    }

    #[test]
    fn a_uuid_is_taken_if_it_is_of_version_7(uuid in uuid()) {
        let is_7 = uuid.get_version_num() == 7 && uuid.get_variant() == uuid::Variant::RFC4122;
        prop_assert_eq!(Uid::from_uuid(uuid).is_ok(), is_7);
    }

    #[test]
    fn what_is_read_is_what_stood_there(bytes in mutated(uid().prop_map(|uid| uid.to_string()))) {
        if let Ok(text) = str::from_utf8(&bytes) && let Ok(uid) = text.parse::<Uid>() {
            prop_assert_eq!(uid.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), long in "\\PC{36}") {
        let _ = text.parse::<Uid>();
        let _ = long.parse::<Uid>();
        let _ = Uid::from_uuid(Uuid::nil());
    }
}
