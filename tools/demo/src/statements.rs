//! The statements, as a person would type them. The first three are those of the README, to the
//! letter.

/// A login.
pub const LOGIN: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','simple',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');"#;

/// Two queries side by side.
pub const PARALLEL: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');"#;

/// The two queries, and another service beside them.
pub const TRANSIT: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','request_with_parallel_queries_with_transit_on_external_service',30,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login3422", "password":"phnd26w"}');"#;

/// The password of `WRONG_PASSWORD`, which no answer may repeat.
pub const WRONG: &str = "not-the-password-7f3a";

/// A login that is refused.
pub const WRONG_PASSWORD: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','simple',15,'{"request":{"type":"single"}, "content-language":"ru-RU"}','{"ip":"172.19.0.8", "login":"login342", "password":"not-the-password-7f3a"}');"#;

/// A method that the service does not have.
pub const UNKNOWN_METHOD: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','no_such_method',15,'{}','{}');"#;

/// A service that has no copy anywhere; it is given two seconds.
pub const NOBODY: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','nobody','example','simple',2,'{}','{}');"#;

/// The publish that is rolled back. Its subject is its own, so that the wire can be watched for it.
pub const ROLLED_BACK: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic','example','rolled_back',15,'{}','{}');"#;

/// The subject of `ROLLED_BACK`.
pub const ROLLED_BACK_SUBJECT: &str = "tpro.analytic.example.rolled_back";

/// A committed publish after the one rolled back: when it is answered, all messages before it have
/// been read.
pub const AFTERWARDS: &str = r#"SELECT tpro.publish('analytic','example','simple','{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');"#;

/// A word of `REFUSED`'s body, which no message may show.
pub const SECRET: &str = "phnd26w";

/// A target that would be every subject of a service.
pub const REFUSED: &str = r#"INSERT INTO main_service.mq_publish (protocol,space_name,service_name,entity,method_name,timeout,headers,body)
VALUES ('jsonrpc','tpro','analytic.>','example','simple',15,'{}','{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}');"#;
