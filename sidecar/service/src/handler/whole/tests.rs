//! The numbers that come back, and those that are refused.

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::{literal::Decimal, *};

#[derive(Debug, Deserialize, Serialize)]
struct Of<T> {
    #[serde(default = "none")]
    n: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// The number as it comes back from a field of this type.
fn through<T: DeserializeOwned + Serialize>(number: &str) -> Option<String> {
    let read: Of<T> =
        from_str(&format!(r#"{{"n":{number},"other":"1e999 \" 99999999999999999999"}}"#)).ok()?;
    serde_json::to_string(&read.n).ok()
}

const LARGE: &str = "12345678901234567890123";

#[test]
fn what_a_type_can_hold_passes_through_it() {
    for number in
        ["117.63331139400017", "0.1", "5e-324", "1.7976931348623157e308", "-2.5", "1e23", "9007199254740992"]
    {
        for back in [through::<f64>(number), through::<Value>(number)] {
            let back: f64 = back.expect(number).parse().expect(number);
            assert_eq!(back.to_bits(), number.parse::<f64>().expect(number).to_bits(), "{number}");
        }
    }
    for number in ["9007199254740993", "18446744073709551615", "-9223372036854775808"] {
        assert_eq!(through::<Value>(number).as_deref(), Some(number));
    }
    for number in [LARGE, "340282366920938463463374607431768211455"] {
        assert_eq!(through::<u128>(number).as_deref(), Some(number));
    }
    assert_eq!(through::<i128>(&format!("-{LARGE}")), Some(format!("-{LARGE}")));
    for number in [LARGE, "1e400", "0.1234567890123456789012345678901234567890", "-0.0", "1.50"] {
        assert_eq!(through::<Box<RawValue>>(number).as_deref(), Some(number));
    }
}

#[test]
fn what_a_type_cannot_hold_is_refused_and_not_rounded() {
    for number in [LARGE, "-12345678901234567890123", "18446744073709551617", "0.1234567890123456789"] {
        assert_eq!(through::<f64>(number), None, "{number}");
        assert_eq!(through::<Value>(number), None, "{number}");
    }
    assert_eq!(through::<f64>("9007199254740993"), None, "an integer that no double is");
    assert_eq!(through::<u128>("340282366920938463463374607431768211456"), None);
    assert_eq!(through::<u64>("18446744073709551616"), None);
    assert_eq!(through::<f64>("1e400"), None);
    assert_eq!(through::<Value>(&format!(r#"[1,{{"a":[{LARGE}]}}]"#)), None);
    assert!(from_str::<Value>(&format!("{LARGE}x")).is_err());
}

#[test]
fn a_double_that_is_written_with_more_digits_than_it_needs_is_still_a_double() {
    // As C's `%.17g` writes 0.1, and all that there is of it.
    for number in ["0.10000000000000001", "0.1000000000000000055511151231257827021181583404541015625"] {
        assert_eq!(through::<f64>(number).as_deref(), Some("0.1"));
    }
    // 2^70 is a double, too; but a whole number may be an id, and this one would come back as
    // another.
    assert_eq!(through::<f64>("1180591620717411303424"), None);
    assert_eq!(through::<Value>("1180591620717411303424"), None);
}

#[test]
fn what_is_not_looked_at_is_not_refused() {
    #[derive(Deserialize)]
    struct Small {
        small: u8,
    }
    let read: Small = from_str(&format!(r#"{{"large":[{LARGE},1e999],"small":7}}"#)).unwrap();
    assert_eq!(read.small, 7);
}

#[test]
fn every_shape_of_a_type_is_looked_into() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    enum Shape {
        Unit,
        New(f64),
        Tuple(u8, f64),
        Struct { n: f64 },
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    #[serde(untagged)]
    enum Loose {
        Whole(u64),
        Double(f64),
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Flat {
        #[serde(flatten)]
        of: Of<f64>,
    }
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Wrapped(f64);
    fn fits<T: DeserializeOwned>(shape: &str) -> bool {
        assert!(from_str::<T>(&shape.replace('#', "0.5")).is_ok(), "{shape}");
        from_str::<T>(&shape.replace('#', LARGE)).is_ok()
    }
    assert!(from_str::<Shape>(r#""Unit""#).is_ok());
    for shape in [r##"{"New":#}"##, r##"{"Tuple":[1,#]}"##, r##"{"Struct":{"n":#}}"##] {
        assert!(!fits::<Shape>(shape), "{shape}");
    }
    assert!(!fits::<Loose>("#"));
    assert!(!fits::<Flat>(r##"{"n":#}"##));
    assert!(!fits::<Wrapped>("#"));
    assert!(!fits::<Option<f64>>("#"));
    assert!(!fits::<Vec<(u8, f64)>>("[[1,2],[3,#]]"));
    assert!(!fits::<std::collections::HashMap<u32, f64>>(r##"{"7":#}"##));
}

#[test]
fn the_path_to_it_is_told() {
    let json = format!(r#"{{"n":[1,2,{LARGE}]}}"#);
    let error = from_str_by_path::<Of<Vec<f64>>>(&json).unwrap_err();
    assert_eq!(error.path().to_string(), "n[2]");
    assert!(error.inner().to_string().starts_with(ROUNDED));
}

proptest! {
    #[test]
    fn every_double_comes_back_to_the_bit(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        let short = serde_json::to_string(&double).unwrap();
        for text in [short, format!("{double:e}"), format!("{double}"), format!("{double:.16e}")] {
            let back: f64 = through::<f64>(&text).expect("it is a double").parse().unwrap();
            prop_assert_eq!(back.to_bits(), bits, "{}", text);
        }
    }

    #[test]
    fn a_number_comes_back_or_is_refused(number in "-?(0|[1-9][0-9]{0,40})") {
        let same = |back: &str| back.parse::<f64>().unwrap() == 0.0 && number == "-0" || {
            let digits = |text: &str| Decimal::of(text).unwrap();
            digits(back) == digits(&number)
        };
        for back in [through::<Value>(&number), through::<i128>(&number), through::<Box<RawValue>>(&number)] {
            prop_assert!(back.is_none_or(|back| same(&back)), "{}", number);
        }
    }

    #[test]
    fn any_json_is_read_or_refused_as_serde_does(text in any::<String>(), number in "[0-9.eE+-]{1,30}") {
        for json in [text.clone(), format!("[{number}]"), format!(r#"["{text}",{number}]"#)] {
            if let Ok(read) = from_str::<Value>(&json) {
                prop_assert_eq!(Some(read), serde_json::from_str(&json).ok());
            }
        }
    }
}
