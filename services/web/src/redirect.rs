//! A response that sends the request elsewhere.

use reqwest::{
    Method, StatusCode, Url,
    header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HeaderMap, LOCATION},
};

use crate::{order::Order, refusal::Refusal};

/// The headers that another origin is told. Any other may be a secret for the first one.
const FOR_OTHERS: [&str; 8] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
    "user-agent",
    "idempotency-key",
    "traceparent",
];

/// The place that a response leads to; none if it is no redirect, or leads nowhere.
pub(crate) fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = std::str::from_utf8(headers.get(LOCATION)?.as_bytes()).ok()?;
    url.join(location).ok()
}

/// Makes the request that goes there. Its method and body are those that browsers send.
pub(crate) fn follow(order: &mut Order, status: StatusCode, url: Url) -> Result<(), Refusal> {
    if order.url.scheme() == "https" && url.scheme() == "http" {
        return Err(Refusal::Plain);
    }
    let is_asked_by_get = match status.as_u16() {
        303 => order.method != Method::HEAD,
        301 | 302 => order.method == Method::POST,
        _ => false,
    };
    if is_asked_by_get {
        order.method = Method::GET;
        order.body = None;
        for of_body in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE] {
            order.headers.remove(of_body);
        }
    }
    if !is_one_origin(&order.url, &url) {
        let kept = order.headers.iter().filter(|(name, _)| FOR_OTHERS.contains(&name.as_str()));
        order.headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    order.url = url;
    Ok(())
}

/// True if both are of one host and port, or of one host that goes over to TLS.
fn is_one_origin(from: &Url, to: &Url) -> bool {
    let is_upgrade = (from.port_or_known_default(), to.port_or_known_default()) == (Some(80), Some(443));
    from.host_str() == to.host_str()
        && (from.origin() == to.origin() || (is_upgrade && to.scheme() == "https"))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderValue};

    use super::*;

    fn order(url: &str) -> Order {
        let headers = [(AUTHORIZATION, "a"), (COOKIE, "b"), (CONTENT_TYPE, "c"), (ACCEPT, "d")];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        Order {
            method: Method::POST,
            url: Url::parse(url).unwrap(),
            headers: headers.into_iter().collect(),
            body: Some(vec![1]),
        }
    }

    fn followed(status: u16, from: &str, to: &str) -> Result<(String, Vec<String>, bool), Refusal> {
        let mut order = order(from);
        follow(&mut order, StatusCode::from_u16(status).unwrap(), Url::parse(to).unwrap())?;
        let mut names: Vec<_> = order.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        Ok((order.method.to_string(), names, order.body.is_some()))
    }

    #[test]
    fn another_origin_is_told_no_secret() {
        let (all, few) = (["accept", "authorization", "content-type", "cookie"], ["accept", "content-type"]);
        for (from, to, names) in [
            ("http://a/", "http://a/b", &all[..]),
            ("http://a/", "https://a/b", &all[..]),
            ("https://a/", "https://a:443/b", &all[..]),
            ("http://a/", "http://b/", &few[..]),
            ("http://a/", "http://a:81/", &few[..]),
            ("http://a:81/", "https://a/", &few[..]),
            ("http://a/", "https://a:444/", &few[..]),
            ("https://a/", "https://x.a/", &few[..]),
        ] {
            let (method, told, has_body) = followed(307, from, to).unwrap();
            assert_eq!((method.as_str(), has_body), ("POST", true), "{from} {to}");
            assert_eq!(told, names, "{from} {to}");
        }
        assert_eq!(followed(307, "https://a/", "http://a/"), Err(Refusal::Plain));
    }

    #[test]
    fn a_post_becomes_a_get_without_a_body_as_in_a_browser() {
        for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
            let (sent, names, has_body) = followed(status, "http://a/", "http://a/b").unwrap();
            assert_eq!((sent.as_str(), has_body), (method, method == "POST"), "{status}");
            assert_eq!(names.contains(&"content-type".to_owned()), method == "POST", "{status}");
        }
    }

    #[test]
    fn a_redirect_names_its_target() {
        let to = |status, location: &str| {
            let headers = [(LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect();
            let url = Url::parse("http://a/b/c?d").unwrap();
            target(&url, StatusCode::from_u16(status).unwrap(), &headers).map(String::from)
        };
        assert_eq!(to(302, "/x"), Some("http://a/x".into()));
        assert_eq!(to(308, "x?y"), Some("http://a/b/x?y".into()));
        assert_eq!(to(301, "//b/x"), Some("http://b/x".into()));
        assert_eq!(to(303, "file:///etc/passwd"), Some("file:///etc/passwd".into()));
        assert_eq!(to(302, "http://"), None);
        assert_eq!(to(304, "/x"), None);
        assert_eq!(to(201, "/x"), None);
        assert_eq!(target(&Url::parse("http://a/").unwrap(), StatusCode::FOUND, &HeaderMap::new()), None);
    }
}
