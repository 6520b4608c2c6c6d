use proptest::prelude::*;
use tpro_wire::Responder;
use tpro_wire::responder::ResponderError;

use crate::support::service;

#[test]
fn a_responder_is_service_version_and_copy() {
    let responder: Responder = "analytic/2.73/1".parse().unwrap();
    assert_eq!(responder.service.as_str(), "analytic");
    assert_eq!(responder.version, "2.73");
    assert_eq!(responder.copy, 1);
    assert_eq!(responder.to_string(), "analytic/2.73/1");
    for text in [
        "",
        "/",
        "//",
        "analytic",
        "analytic/1",
        "analytic/1/",
        "analytic/1/2/3",
        "analytic/1/+2",
        "analytic/1/02",
        "analytic/1/-2",
        "analytic/1/4294967296",
        "Analytic/1/2",
    ] {
        assert_eq!(text.parse::<Responder>(), Err(ResponderError::Malformed), "{text:?}");
    }
    for version in ["", "1 0", "1\r\nX: y", "é", "\"", &"1".repeat(65)] {
        let text = format!("analytic/{version}/1");
        assert_eq!(text.parse::<Responder>(), Err(ResponderError::Version), "{text:?}");
        let service = "analytic".parse().unwrap();
        assert_eq!(Responder::new(service, version, 1), Err(ResponderError::Version), "{version:?}");
    }
}

proptest! {
    #[test]
    fn text_comes_back(service in service(), version in "[A-Za-z0-9._+-]{1,64}", copy in any::<u32>()) {
        let responder = Responder::new(service, &version, copy).unwrap();
        prop_assert_eq!(responder.to_string().parse(), Ok(responder));
    }

    #[test]
    fn what_is_read_is_what_stood_there(text in "[a-z/]{0,4}/[0-9./]{0,4}/[0-9+/]{0,4}") {
        if let Ok(responder) = text.parse::<Responder>() {
            prop_assert_eq!(responder.to_string(), text);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = text.parse::<Responder>();
    }
}
