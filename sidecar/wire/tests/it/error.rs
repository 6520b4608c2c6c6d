use tpro_wire::RpcError;
use tpro_wire::error::code;

#[test]
fn an_error_is_shown_without_its_data() {
    let data = Some(serde_json::from_str(r#"{"password":"canary"}"#).unwrap());
    let error = RpcError { data, ..RpcError::new(code::INVALID_PARAMS, "login is missing") };
    assert_eq!(error.to_string(), "login is missing (-32602)");
    assert_eq!(
        format!("{error:?}"),
        r#"RpcError { code: -32602, message: "login is missing", data: 21 bytes }"#
    );
    assert_eq!(
        error.to_json(),
        r#"{"code":-32602,"message":"login is missing","data":{"password":"canary"}}"#
    );
}

#[test]
fn an_error_without_data_has_no_such_member() {
    assert_eq!(RpcError::new(7, "a \"b\"").to_json(), r#"{"code":7,"message":"a \"b\""}"#);
}

#[test]
fn errors_are_equal_by_what_they_say() {
    let with =
        |json: &str| RpcError { data: Some(serde_json::from_str(json).unwrap()), ..RpcError::new(1, "a") };
    assert_eq!(with("[1]"), with("[1]"));
    assert_ne!(with("[1]"), with("[2]"));
    assert_ne!(with("[1]"), RpcError::new(1, "a"));
    assert_ne!(RpcError::new(1, "a"), RpcError::new(1, "b"));
}
