//! Where NATS is and how to log in.

use async_nats::ServerAddr;

use super::{reader::Reader, secret::Secret};

pub(super) fn read(reader: &mut Reader) -> (Vec<String>, Option<Secret>) {
    let urls = reader.parsed("NATS_URL", vec!["nats://127.0.0.1:4222".to_owned()], |text| {
        let urls: Vec<_> =
            text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect();
        let good = |url: &String| {
            let scheme = url.split_once("://").map_or("nats", |(scheme, _)| scheme);
            scheme == "nats" && url.parse::<ServerAddr>().is_ok()
        };
        if urls.is_empty() || !urls.iter().all(good) {
            return Err(
                "must be one address or several with commas between, such as nats://127.0.0.1:4222".into()
            );
        }
        if urls.iter().any(|url| url.contains('@')) {
            // async-nats ignores what stands there, and an address is printed in many places.
            return Err("must not hold a login; put the token into NATS_TOKEN".into());
        }
        Ok(urls)
    });
    let token = reader.text("NATS_TOKEN").map(Secret::new);
    (urls, token)
}
