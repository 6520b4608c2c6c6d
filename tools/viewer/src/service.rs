//! The service that a process belongs to.

use otlp_embedded::proto::common::v1::AnyValue;
use otlp_embedded::proto::common::v1::any_value::Value as Otlp;
use otlp_embedded::proto::resource::v1::Resource;

/// The attribute that names a process's service.
pub const SERVICE_NAME: &str = "service.name";

/// The service of a process; the specification's own stand-in where it does not say.
pub fn service_name(resource: &Resource) -> String {
    resource
        .attributes
        .iter()
        .find(|attribute| attribute.key == SERVICE_NAME)
        .and_then(|attribute| match &attribute.value {
            Some(AnyValue { value: Some(Otlp::StringValue(name)) }) => Some(name.clone()),
            _ => None,
        })
        .unwrap_or_else(|| "unknown_service".to_owned())
}
