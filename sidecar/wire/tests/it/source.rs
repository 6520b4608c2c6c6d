use proptest::prelude::*;
use tpro_wire::Source;

use crate::support::{mutated, service, uuid};

#[test]
fn a_source_is_service_and_instance() {
    let text = "main/919108f7-52d1-4320-9bac-f847db4148a8";
    let source: Source = text.parse().unwrap();
    assert_eq!(source.service.as_str(), "main");
    assert_eq!(source.instance8(), "919108f7");
    assert_eq!(source.to_string(), text);
    for text in [
        "",
        "/",
        "main",
        "main/",
        "/919108f7-52d1-4320-9bac-f847db4148a8",
        "Main/919108f7-52d1-4320-9bac-f847db4148a8",
        "main/919108f752d143209bacf847db4148a8",
        "main/{919108f7-52d1-4320-9bac-f847db4148a8}",
        "main/919108f7-52d1-4320-9bac-f847db4148a8/",
        "main//919108f7-52d1-4320-9bac-f847db4148a",
    ] {
        assert!(text.parse::<Source>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn text_comes_back(service in service(), instance in uuid()) {
        let source = Source { service, instance };
        prop_assert!(source.instance.to_string().starts_with(&source.instance8()));
        prop_assert_eq!(source.to_string().parse(), Ok(source));
    }

    #[test]
    fn what_is_read_is_what_stood_there(
        bytes in mutated((service(), uuid()).prop_map(|(service, instance)| format!("{service}/{instance}"))),
    ) {
        if let Ok(text) = str::from_utf8(&bytes) && let Ok(source) = text.parse::<Source>() {
            prop_assert_eq!(source.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = text.parse::<Source>();
    }
}
